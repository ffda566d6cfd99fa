// What the vector table asks of the machine. Kernel: arch/x86_64. Hosted: hosted/interrupt.cpp.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "interrupt/vector.hpp"

namespace pv::interrupt {

/// The message that raises vector `number` on `cpu`.
[[nodiscard]] Message message_for(unsigned cpu, std::uint8_t number);

/// Whether a device can reach `cpu`: a message holds 8 bits of APIC id (Intel SDM vol. 3, 11.11.1).
[[nodiscard]] bool reachable_by_message(unsigned cpu);

/// Whether the processors are in x2APIC mode, where a remapped interrupt names them by 32 bits.
[[nodiscard]] bool extended_destinations();

/// Makes room for the vectors of `cpu`, before its first interrupt. Once a CPU; the boot CPU has it from the
/// start. Error: out_of_memory.
Result<> add_cpu(unsigned cpu);

/// Runs the handler of `number` on `cpu`, the current one, and counts; interrupts are off. For arch, and for
/// tests, as the device.
void dispatch(unsigned cpu, std::uint8_t number);

inline constexpr std::uint8_t first_device_vector = 0x30;
inline constexpr std::uint8_t last_device_vector = 0xef;

}  // namespace pv::interrupt
