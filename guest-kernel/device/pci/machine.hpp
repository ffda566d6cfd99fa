// This machine's PCI: every configuration space there is, found through ACPI.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "base/vector.hpp"
#include "device/pci/config.hpp"
#include "device/pci/scan.hpp"

namespace pv::pci {

/// All functions of this machine, through ECAM where the MCFG names ranges, else through ports 0xcf8/0xcfc
/// (segment 0, 256 bytes a function). Says on the console which, and what it found. Threads only, once.
/// Errors: out_of_memory.
[[nodiscard]] Result<Vector<Found>> find_functions();

/// Access to a function that find_functions found.
[[nodiscard]] Function function_at(Address address);

}  // namespace pv::pci
