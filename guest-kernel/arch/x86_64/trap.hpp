// What an exception or interrupt leaves on the stack, and the probe that survives one.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pv::arch {

inline constexpr std::uint8_t vector_debug = 1;
inline constexpr std::uint8_t vector_nmi = 2;
inline constexpr std::uint8_t vector_breakpoint = 3;
inline constexpr std::uint8_t vector_overflow = 4;
inline constexpr std::uint8_t vector_invalid_opcode = 6;
inline constexpr std::uint8_t vector_double_fault = 8;
inline constexpr std::uint8_t vector_general_protection = 13;
inline constexpr std::uint8_t vector_page_fault = 14;
inline constexpr std::uint8_t vector_machine_check = 18;
inline constexpr std::uint8_t vector_legacy_first = 0x20;  ///< the masked 8259s, for a stray interrupt
inline constexpr std::uint8_t vector_timer = 0xf0;
inline constexpr std::uint8_t vector_reschedule = 0xf1;
inline constexpr std::uint8_t vector_shootdown = 0xf2;
inline constexpr std::uint8_t vector_stop = 0xf3;
inline constexpr std::uint8_t vector_spurious = 0xff;

/// Bytes from one vector's entry to the next one's, in pv_trap_stubs.
inline constexpr std::size_t stub_size = 16;

/// Laid out by trap.S.
struct TrapFrame {
    std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    std::uint64_t vector, error_code;
    std::uint64_t rip, cs, rflags, rsp, ss;
};

static_assert(sizeof(TrapFrame) == 22 * 8);

struct Fault {
    std::uint8_t vector = 0;
    std::uint64_t error_code = 0;
    std::uint64_t address = 0;  ///< CR2, for a page fault
};

/// Page-fault error code bits (Intel SDM vol. 3, 4.7).
inline constexpr std::uint64_t fault_present = 1;
inline constexpr std::uint64_t fault_write = 2;
inline constexpr std::uint64_t fault_user = 4;
inline constexpr std::uint64_t fault_fetch = 16;

/// Calls `function(argument)` with interrupts off and reports the exception it ends with, if any. The
/// function must hold no lock and own nothing where it may fault: its frames are dropped.
std::optional<Fault> probe(void (*function)(void*), void* argument);

[[nodiscard]] std::string_view exception_name(std::uint64_t vector);

}  // namespace pv::arch
