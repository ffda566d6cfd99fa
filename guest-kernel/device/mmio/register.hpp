// Typed device registers: where a register lies, how wide it is and which way it may be used are its type.
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace pv::mmio {

/// What software may do with a register. A driver that goes the other way does not compile.
enum class Access : std::uint8_t { read_only, write_only, read_write };

/// Widths a register access may have; anything else is no single access on the bus.
template <class T>
concept RegisterValue = std::same_as<T, std::uint8_t> || std::same_as<T, std::uint16_t> ||
                        std::same_as<T, std::uint32_t> || std::same_as<T, std::uint64_t>;

/// One register: `offset` bytes into the device's window, naturally aligned.
template <RegisterValue T, Access access = Access::read_write>
struct Register {
    using Value = T;
    static constexpr bool readable = access != Access::write_only;
    static constexpr bool writable = access != Access::read_only;

    std::size_t offset;
};

/// Equal registers at a fixed distance: doorbells, table entries.
template <RegisterValue T, Access access = Access::read_write>
struct RegisterArray {
    std::size_t first;
    std::size_t stride;

    /// The register number `index`, whose place the window checks as for any other.
    [[nodiscard]] constexpr Register<T, access> at(std::size_t index) const {
        return {first + stride * index};
    }
};

}  // namespace pv::mmio
