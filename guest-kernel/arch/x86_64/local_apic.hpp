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
/// The same for another CPU than the first, with what the first found. Error: not_supported (this CPU lacks
/// what the first has).
Result<> start_secondary();

[[nodiscard]] std::uint32_t id();
[[nodiscard]] bool is_x2apic();
/// "x2APIC" or "xAPIC"; "TSC deadline" or "one-shot".
[[nodiscard]] std::string_view mode_name();
[[nodiscard]] std::string_view timer_name();

void end_of_interrupt();
/// Raises vector_timer at `instant` (at once when it has passed); replaces what was set before.
void arm_timer(Instant instant);
/// Raises `vector` on this CPU, as soon as interrupts are on.
void interrupt_self(std::uint8_t vector);

// To another CPU, by its APIC id, which may be one nobody has.

/// Raises `vector` there.
void interrupt(std::uint32_t apic_id, std::uint8_t vector);
/// Interrupts it even where it has interrupts off.
void send_nmi(std::uint32_t apic_id);
/// Resets it to wait for a start-up message.
void send_init(std::uint32_t apic_id);
/// Starts it in real mode at `page` * 4096 (Intel SDM vol. 3, 9.4 "Multiple-Processor Initialization").
void send_startup(std::uint32_t apic_id, std::uint8_t page);

}  // namespace pv::arch::LocalApic
