// Entries of x86-64 page tables (Intel SDM vol. 3A, 4.5: 4-level paging).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/address.hpp"

namespace pv::arch::paging {

inline constexpr std::uint64_t present = 1ULL << 0;
inline constexpr std::uint64_t writable = 1ULL << 1;
inline constexpr std::uint64_t user = 1ULL << 2;
inline constexpr std::uint64_t write_through = 1ULL << 3;
inline constexpr std::uint64_t cache_disable = 1ULL << 4;
inline constexpr std::uint64_t accessed = 1ULL << 5;
inline constexpr std::uint64_t dirty = 1ULL << 6;
inline constexpr std::uint64_t large = 1ULL << 7;
inline constexpr std::uint64_t global = 1ULL << 8;
inline constexpr std::uint64_t no_execute = 1ULL << 63;
inline constexpr std::uint64_t address_mask = 0x000f'ffff'ffff'f000;

inline constexpr unsigned entries_per_table = 512;
/// The level of the table CR3 names; level 0 holds pages.
inline constexpr unsigned top_level = 3;

/// Bits of an address below an entry of `level`.
[[nodiscard]] constexpr unsigned shift_of(unsigned level) {
    return page_shift + 9 * level;
}

/// Bytes an entry of `level` is about.
[[nodiscard]] constexpr std::uint64_t size_of(unsigned level) {
    return 1ULL << shift_of(level);
}

[[nodiscard]] constexpr unsigned index_of(std::uint64_t address, unsigned level) {
    return address >> shift_of(level) & (entries_per_table - 1);
}

/// The frame or the table it points to.
[[nodiscard]] constexpr PhysicalAddress target(std::uint64_t entry) {
    return PhysicalAddress(entry & address_mask);
}

}  // namespace pv::arch::paging
