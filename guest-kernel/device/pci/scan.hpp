// Finding every PCI function: multi-function devices, and whatever lies behind bridges.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/function_ref.hpp"
#include "device/pci/config.hpp"

namespace pv::pci {

struct Found {
    Address address;
    std::uint16_t vendor = 0;
    std::uint16_t device = 0;
    std::uint8_t base_class = 0;
    std::uint8_t subclass = 0;
    std::uint8_t interface = 0;
    bool bridge = false;
};

struct ScanTotals {
    std::size_t functions = 0;
    std::size_t buses = 0;
    std::size_t refused_bridges = 0;  ///< whose secondary bus was visited already or outside the segment
};

/// Calls `found` for each function on `first_bus` and on every bus behind a bridge found on the way, in order
/// of bus, device, function within a bus. Buses are those up to `last_bus`. A bus is visited once, whatever
/// bridges say about it.
ScanTotals scan(ConfigSpace& space, std::uint16_t segment, std::uint8_t first_bus, std::uint8_t last_bus,
                FunctionRef<void(const Found&)> found);

}  // namespace pv::pci
