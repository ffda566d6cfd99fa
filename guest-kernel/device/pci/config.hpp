// Configuration space of PCI functions, however the machine reaches it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/mmio/register.hpp"
#include "device/pci/address.hpp"

namespace pv::pci {

/// One way to configuration space: ECAM, the legacy ports, or a test's fake. Thread context; implementations
/// synchronise themselves. A function that is not there, or an offset beyond what can be reached, reads as
/// all ones, and writes go nowhere, as on the bus.
class ConfigSpace {
  public:
    ConfigSpace() = default;
    ConfigSpace(const ConfigSpace&) = delete;
    ConfigSpace& operator=(const ConfigSpace&) = delete;

    /// `width` is 1, 2 or 4 bytes; `offset` a multiple of it.
    [[nodiscard]] virtual std::uint32_t read(Address address, std::size_t offset, unsigned width) = 0;
    virtual void write(Address address, std::size_t offset, unsigned width, std::uint32_t value) = 0;

  protected:
    ~ConfigSpace() = default;  // never destroyed through this: they live as long as the kernel
};

/// A function, and typed access to its registers.
class Function {
  public:
    Function(ConfigSpace& space, Address address) : space_{&space}, address_{address} {}

    [[nodiscard]] Address address() const { return address_; }

    [[nodiscard]] ConfigSpace& space() const { return *space_; }

    template <class T, mmio::Access access>

        requires(access != mmio::Access::write_only && sizeof(T) <= 4)
    [[nodiscard]] T read(mmio::Register<T, access> where) const {
        return static_cast<T>(space_->read(address_, where.offset, sizeof(T)));
    }

    template <class T, mmio::Access access>

        requires(access != mmio::Access::read_only && sizeof(T) <= 4)
    void write(mmio::Register<T, access> where, T value) const {
        space_->write(address_, where.offset, sizeof(T), value);
    }

  private:
    ConfigSpace* space_;
    Address address_;
};

}  // namespace pv::pci
