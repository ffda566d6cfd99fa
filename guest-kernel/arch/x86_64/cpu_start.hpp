// Starting the other CPUs.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "acpi/tables.hpp"

namespace pv::arch {

/// Starts every enabled processor of `listed` but this one; returns how many CPUs run then. Called once by
/// the boot CPU, its scheduler running, interrupts off, before there is a second thread. A processor that
/// does not come within its deadline, or for which there is no memory, costs one line and is left alone.
/// Panics when an APIC id cannot be (boot/processors.hpp), or when a processor says that it is another than
/// the one that was started.
unsigned start_other_cpus(std::span<const acpi::LocalApic> listed);

}  // namespace pv::arch
