// Where a hooked instruction stands and what it is, packed into the pointer that QEMU hands back.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "plugin/instruction.hpp"

namespace pv::plugin {

/// Nothing is allocated for an instruction: a guest that makes code without end would fill QEMU's memory. The
/// address takes 48 bits, which is every canonical one with four-level paging; any other becomes 0, "not
/// known".
struct Site {
    std::uint64_t pc = 0;
    std::uint16_t detail = 0;  ///< marker's number, or what of() packs

    [[nodiscard]] constexpr std::uint64_t pack() const {
        const std::uint64_t low = pc << 16;
        const bool fits = static_cast<std::uint64_t>(static_cast<std::int64_t>(low) >> 16) == pc;
        return (fits ? low : 0) | detail;
    }

    [[nodiscard]] void* userdata() const { return reinterpret_cast<void*>(pack()); }

    static constexpr Site unpack(std::uint64_t packed) {
        return {static_cast<std::uint64_t>(static_cast<std::int64_t>(packed) >> 16),
                static_cast<std::uint16_t>(packed)};
    }

    static Site unpack(const void* userdata) { return unpack(reinterpret_cast<std::uint64_t>(userdata)); }

    /// An instruction of `length` bytes, and the registers it names.
    static constexpr Site of(std::uint64_t pc, ControlWrite write, std::size_t length) {
        return {pc, static_cast<std::uint16_t>(length | static_cast<unsigned>(write.number) << 4 |
                                               static_cast<unsigned>(write.source) << 8)};
    }

    static constexpr std::size_t length(std::uint16_t detail) { return detail & 15U; }

    static constexpr ControlWrite control(std::uint16_t detail) {
        return {static_cast<std::uint8_t>(detail >> 4 & 15), static_cast<std::uint8_t>(detail >> 8 & 15)};
    }
};

}  // namespace pv::plugin
