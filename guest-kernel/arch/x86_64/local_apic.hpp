// The local APIC: end of interrupt, one-shot timer, interrupts to itself.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "base/address.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

/// Intel SDM vol. 3 chapter 11. All functions but start() may be called in any context, on their own CPU.
namespace pv::arch::LocalApic {

/// Enables this CPU's APIC, in x2APIC mode where offered; masks the 8259s; picks and measures the timer.
/// `registers`: where the MADT says they are. The clock runs already. Errors: as map_device; not_supported.
Result<> start(PhysicalAddress registers);

[[nodiscard]] std::uint32_t id();
/// "x2APIC" or "xAPIC"; "TSC deadline" or "one-shot".
[[nodiscard]] std::string_view mode_name();
[[nodiscard]] std::string_view timer_name();

void end_of_interrupt();
/// Raises vector_timer at `instant` (at once when it has passed); replaces what was set before.
void arm_timer(Instant instant);
/// Raises `vector` on this CPU, as soon as interrupts are on.
void interrupt_self(std::uint8_t vector);

}  // namespace pv::arch::LocalApic
