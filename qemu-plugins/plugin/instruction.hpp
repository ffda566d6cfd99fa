// Recognises the x86-64 instructions that are watched, from their bytes.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "paravane/marker.h"

namespace pv::plugin {

/// Longest x86 instruction (Intel SDM vol. 2A, 2.3.11).
inline constexpr std::size_t longest_instruction = 15;

using Bytes = std::span<const std::uint8_t>;  ///< exactly one instruction

/// The marker's number when `code` is a marker: the eight-byte no-op with the magic constant. Compilers pad
/// with the same no-op and a constant of zero, which is none.
constexpr std::optional<std::uint16_t> marker_number(Bytes code) {
    constexpr std::array<std::uint8_t, 4> opcode{0x0f, 0x1f, 0x84, 0x00};
    if (code.size() != 8 || code[0] != opcode[0] || code[1] != opcode[1] || code[2] != opcode[2] ||
        code[3] != opcode[3] || code[6] != (PV_MARKER_MAGIC & 0xff) || code[7] != (PV_MARKER_MAGIC >> 8)) {
        return std::nullopt;
    }
    return static_cast<std::uint16_t>(code[4] | code[5] << 8);
}

/// `mov %source, %crN` (0F 22 /r; SDM vol. 2B, "MOV - Move to/from Control Registers").
struct ControlWrite {
    std::uint8_t number;  ///< of the control register
    std::uint8_t source;  ///< general register, in the encoding's order: rax, rcx, rdx, rbx, rsp, ...
};

std::optional<ControlWrite> control_write(Bytes code);

bool is_invlpg(Bytes code);

/// `sysret` (0F 07): the way back to a program.
bool is_sysret(Bytes code);

/// What an effective address needs to know of the CPU that executes the instruction.
struct Context {
    bool long_mode = false;                   ///< 64-bit code; else 32-bit code with flat segments
    std::uint64_t next = 0;                   ///< virtual address of the following instruction
    std::array<std::uint64_t, 16> general{};  ///< in the encoding's order
    std::uint64_t fs_base = 0, gs_base = 0;
};

/// Linear address of the memory operand of `invlpg m` (0F 01 /7; SDM vol. 2A, 2.1.5 and 2.2.1). Nothing when
/// `code` is no invlpg or uses 16-bit addressing.
std::optional<std::uint64_t> invlpg_address(Bytes code, const Context& context);

}  // namespace pv::plugin
