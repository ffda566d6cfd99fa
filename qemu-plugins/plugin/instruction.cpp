// Instruction prefixes, ModRM and SIB, as far as the watched instructions need them.
// SPDX-License-Identifier: MIT
#include "plugin/instruction.hpp"

namespace pv::plugin {
namespace {

/// Prefixes of an instruction and where its opcode begins.
struct Prefixes {
    std::size_t length = 0;
    std::uint8_t rex = 0;      ///< 0 where there is none
    std::uint8_t segment = 0;  ///< 0x64 fs, 0x65 gs, 0 otherwise (the others have base 0)
    bool address_size = false;
};

constexpr bool rex_bit(std::uint8_t rex, unsigned bit) {
    return (rex >> bit & 1) != 0;
}

/// `long_mode`: whether 40..4F are REX prefixes. Where that is not known, true is right: in other code such a
/// byte would be an instruction of its own and could not begin this one.
Prefixes prefixes(Bytes code, bool long_mode) {
    Prefixes found;
    for (; found.length < code.size(); ++found.length) {
        const std::uint8_t byte = code[found.length];
        if (byte == 0x64 || byte == 0x65) {
            found.segment = byte;
        } else if (byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e) {
            found.segment = 0;
        } else if (byte == 0x67) {
            found.address_size = true;
        } else if (byte != 0x66 && byte != 0xf0 && byte != 0xf2 && byte != 0xf3) {
            break;
        }
    }
    if (long_mode && found.length < code.size() && (code[found.length] & 0xf0) == 0x40) {
        found.rex = code[found.length++];
    }
    return found;
}

/// The ModRM byte's position when the opcode is 0F `second`; 0 otherwise.
std::size_t modrm_of(Bytes code, const Prefixes& found, std::uint8_t second) {
    const std::size_t at = found.length;
    return code.size() >= at + 3 && code[at] == 0x0f && code[at + 1] == second ? at + 2 : 0;
}

bool is_invlpg_modrm(std::uint8_t modrm) {
    return (modrm >> 3 & 7) == 7 && modrm >> 6 != 3;
}

/// Reads a little-endian displacement of `width` bytes, sign-extended; nothing when it is cut off.
std::optional<std::uint64_t> displacement(Bytes code, std::size_t at, std::size_t width) {
    if (at + width > code.size()) {
        return std::nullopt;
    }
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
        value |= static_cast<std::uint32_t>(code[at + i]) << 8 * i;
    }
    const std::int64_t extended =
        width == 1 ? static_cast<std::int8_t>(value) : static_cast<std::int32_t>(value);
    return width == 0 ? 0 : static_cast<std::uint64_t>(extended);
}

}  // namespace

std::optional<ControlWrite> control_write(Bytes code) {
    const Prefixes found = prefixes(code, true);
    const std::size_t at = modrm_of(code, found, 0x22);
    if (at == 0) {
        return std::nullopt;
    }
    // The mod field is ignored: the operand is always a register.
    const std::uint8_t modrm = code[at];
    return ControlWrite{static_cast<std::uint8_t>((modrm >> 3 & 7) | (rex_bit(found.rex, 2) ? 8 : 0)),
                        static_cast<std::uint8_t>((modrm & 7) | (rex_bit(found.rex, 0) ? 8 : 0))};
}

bool is_invlpg(Bytes code) {
    const std::size_t at = modrm_of(code, prefixes(code, true), 0x01);
    return at != 0 && is_invlpg_modrm(code[at]);
}

bool is_sysret(Bytes code) {
    const std::size_t at = prefixes(code, true).length;
    return code.size() == at + 2 && code[at] == 0x0f && code[at + 1] == 0x07;
}

std::optional<std::uint64_t> invlpg_address(Bytes code, const Context& context) {
    const Prefixes found = prefixes(code, context.long_mode);
    std::size_t at = modrm_of(code, found, 0x01);
    if (at == 0 || !is_invlpg_modrm(code[at]) || (found.address_size && !context.long_mode)) {
        return std::nullopt;
    }
    const std::uint8_t modrm = code[at++];
    const unsigned mod = modrm >> 6;
    const unsigned rm = modrm & 7;
    std::size_t displacement_width = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    std::uint64_t address = 0;
    if (rm == 4) {
        if (at >= code.size()) {
            return std::nullopt;
        }
        const std::uint8_t sib = code[at++];
        const unsigned index = (sib >> 3 & 7) | (rex_bit(found.rex, 1) ? 8U : 0U);
        const unsigned base = (sib & 7) | (rex_bit(found.rex, 0) ? 8U : 0U);
        if (index != 4) {
            address += context.general[index] << (sib >> 6);
        }
        if ((sib & 7) == 5 && mod == 0) {
            displacement_width = 4;
        } else {
            address += context.general[base];
        }
    } else if (rm == 5 && mod == 0) {
        displacement_width = 4;
        address = context.long_mode ? context.next : 0;
    } else {
        address = context.general[rm | (rex_bit(found.rex, 0) ? 8U : 0U)];
    }
    const auto offset = displacement(code, at, displacement_width);
    if (!offset) {
        return std::nullopt;
    }
    address += *offset;
    if (!context.long_mode || found.address_size) {
        address &= 0xffffffff;
    }
    address += found.segment == 0x64 ? context.fs_base : found.segment == 0x65 ? context.gs_base : 0;
    return context.long_mode ? address : address & 0xffffffff;
}

}  // namespace pv::plugin
