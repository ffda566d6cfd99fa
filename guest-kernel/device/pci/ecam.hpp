// Configuration space in memory (PCI Express Base Specification 5.0, section 7.2.2, "ECAM").
// SPDX-License-Identifier: MIT
#pragma once

#include <array>

#include "acpi/tables.hpp"
#include "base/atomic.hpp"
#include "device/mmio/window.hpp"
#include "device/pci/config.hpp"
#include "task/lock.hpp"

namespace pv::pci {

/// One range of buses of a segment. A bus's megabyte is mapped when it is first used.
class EcamSpace final : public ConfigSpace {
  public:
    explicit EcamSpace(const acpi::EcamRange& range) : range_{range} {}

    ~EcamSpace() = default;

    [[nodiscard]] std::uint32_t read(Address address, std::size_t offset, unsigned width) override;
    void write(Address address, std::size_t offset, unsigned width, std::uint32_t value) override;

    [[nodiscard]] const acpi::EcamRange& range() const { return range_; }

    [[nodiscard]] bool covers(Address address) const {
        return address.segment == range_.segment && address.bus >= range_.first_bus &&
               address.bus <= range_.last_bus;
    }

  private:
    [[nodiscard]] const mmio::Window* bus(std::uint8_t number);

    acpi::EcamRange range_;
    task::SpinLock lock_{task::Rank::leaf};
    std::array<mmio::Window, 256> buses_;
    std::array<Atomic<bool>, 256> mapped_{};
};

}  // namespace pv::pci
