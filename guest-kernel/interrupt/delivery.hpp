// What the vector table asks of the machine. Kernel: arch/x86_64. Hosted: hosted/interrupt.cpp.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "interrupt/vector.hpp"

namespace pv::interrupt {

/// The message that raises vector `number` on the CPU device interrupts go to.
[[nodiscard]] Message message_for(std::uint8_t number);

inline constexpr std::uint8_t first_device_vector = 0x30;
inline constexpr std::uint8_t last_device_vector = 0xef;

}  // namespace pv::interrupt
