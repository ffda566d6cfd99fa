// A function in a driver's hands: its registers, its interrupts, and whether it may master the bus.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "device/mmio/window.hpp"
#include "device/pci/bar.hpp"
#include "device/pci/config.hpp"
#include "interrupt/vector.hpp"

namespace pv::pci {

/// Registers in `bar` of a function, mapped.
struct BarWindow {
    Bar bar;
    mmio::Window window;
};

/// Owned by one driver. The function decodes its memory, does not use INTx, and is no bus master until the
/// driver says so; destroying this takes bus mastering away again, after which it cannot touch memory
/// (PCI 3.0, 6.2.2).
class Device {
  public:
    /// `name` outlives it.
    explicit Device(Function function, std::string_view name) : Device{function, name, false} {}

    /// The same of a bridge (`masters`): what lies behind it masters the bus through it, so it stays able to.
    Device(Function function, std::string_view name, bool masters);
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    ~Device();

    [[nodiscard]] const Function& function() const { return function_; }

    [[nodiscard]] std::string_view name() const { return name_; }

    /// Maps memory BAR `index`, once: later calls answer the same. Threads only. Errors: as probe_bar and
    /// map_device; corrupt where no bridge above leads on to it.
    [[nodiscard]] Result<BarWindow> map_bar(unsigned index);

    /// Whether the function answers: an empty slot, or one without power, reads as all ones. Any context.
    [[nodiscard]] bool present() const;

    void set_bus_mastering(bool on) const;

    /// Prepares MSI-X: every vector of the table masked. Errors: not_supported (no such capability), corrupt
    /// (a table that does not lie inside its BAR), as map_bar.
    [[nodiscard]] Result<> enable_msix();

    /// Entry `index` of the table from now on raises `message`. Errors: out_of_range, not_supported (before
    /// enable_msix).
    [[nodiscard]] Result<> set_vector(std::size_t index, const interrupt::Message& message);

    /// Masks entry `index`, if there is one: no interrupt is raised by it afterwards.
    void mask_vector(std::size_t index);

    [[nodiscard]] std::size_t vector_count() const { return vectors_; }

    void disable_msix();

  private:
    void command(std::uint16_t set, std::uint16_t clear) const;

    Function function_;
    std::string_view name_;
    std::array<BarWindow, bar_count> bars_;
    mmio::Window table_;
    std::size_t vectors_ = 0;
    std::uint8_t msix_ = 0;  ///< offset of the capability
    bool masters_ = false;
};

}  // namespace pv::pci
