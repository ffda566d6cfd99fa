// Drivers as the slots know them.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <new>

#include "device/pci/machine.hpp"
#include "device/pci/slots.hpp"

namespace pv::exercise {

/// A block::Controller or net::Device of the function at an address. Does not own it.
template <class Driver>
class Held final : public pci::Occupant {
  public:
    Held(Driver& driver, pci::Function function) : driver_{driver}, function_{function} {}

    [[nodiscard]] std::string_view name() const override { return driver_.name(); }

    [[nodiscard]] pci::Function function() const override { return function_; }

    void look() override { driver_.look(); }

    void leave(Duration patience) override { driver_.leave(patience); }

    [[nodiscard]] bool dead() const override { return driver_.dead(); }

  private:
    Driver& driver_;
    pci::Function function_;
};

/// Tells the slots of a driver, which outlives them. Errors: out_of_memory.
template <class Driver>
Result<> occupy(pci::Slots& slots, Driver& driver, pci::Address address) {
    std::unique_ptr<pci::Occupant> held{new (std::nothrow) Held<Driver>{driver, pci::function_at(address)}};
    return held == nullptr ? fail(Error::out_of_memory) : slots.add(std::move(held));
}

}  // namespace pv::exercise
