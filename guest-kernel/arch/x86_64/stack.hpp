// Stacks with a page below each that nothing is mapped at.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "arch/x86_64/cpu.hpp"
#include "base/address.hpp"
#include "base/result.hpp"

namespace pv::arch {

inline constexpr std::uint64_t stack_bytes = 16384;
inline constexpr std::uint64_t stack_guard_bytes = 4096;

struct Stack {
    std::uint64_t top = 0;  ///< first address above it

    [[nodiscard]] std::uint64_t guard() const { return top - stack_bytes - stack_guard_bytes; }
};

/// Kept for reuse when given back, so that threads come and go without touching page tables.
/// Error: out_of_memory.
Result<Stack> allocate_stack();
void free_stack(Stack stack);

/// Gives this CPU's double-fault, NMI and machine-check handlers stacks of their own. Error: out_of_memory.
Result<> set_up_interrupt_stacks(Cpu& cpu);

/// Gives back what set_up_interrupt_stacks took, all of it or a part; the CPU does not run.
void release_interrupt_stacks(Cpu& cpu);

/// Which stack's guard page `address` lies in, for people; nothing when it lies in none. Any context.
[[nodiscard]] std::optional<std::string_view> describe_guard_page(VirtualAddress address);

}  // namespace pv::arch
