// The panic path: from a broken invariant or from an exception.
// SPDX-License-Identifier: MIT
#pragma once

#include "arch/x86_64/trap.hpp"

namespace pv::arch {

/// An exception nobody expected. `address`: CR2 for a page fault. Never returns.
[[noreturn]] void panic_at(const TrapFrame& frame, std::uint64_t address);

inline constexpr std::uint32_t panic_status = 255;

}  // namespace pv::arch
