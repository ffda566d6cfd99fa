// One function a table: from checked bytes to entries of Tables.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "acpi/tables.hpp"

namespace pv::acpi {

/// `table` is the whole table, header included, its checksum verified. Entries that contradict themselves are
/// logged, counted in `refused` and left out. Error: out_of_memory.
Result<> read_madt(std::span<const std::byte> table, Tables& tables);
Result<> read_mcfg(std::span<const std::byte> table, Tables& tables);
/// A DMAR or VIOT that contradicts itself anywhere is left out whole: one line, and no IOMMU.
Result<> read_dmar(std::span<const std::byte> table, Tables& tables);
Result<> read_viot(std::span<const std::byte> table, Tables& tables);

/// Fills `fixed` and returns the DSDT's address, zero when there is none.
PhysicalAddress read_fadt(std::span<const std::byte> table, Tables& tables);
/// Looks for \_S5 in the DSDT's byte code (20.2 of the specification): package of small integers.
void read_dsdt(std::span<const std::byte> table, FixedHardware& fixed);

}  // namespace pv::acpi
