// The boot memory map made usable: RAM as sorted, page-aligned ranges that do not overlap.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "base/address.hpp"

namespace pv::memory {

/// Xen's struct hvm_memmap_table_entry (PVH); the types are those of ACPI 6.4, 15 "System Address Map".
struct MapEntry {
    std::uint64_t address;
    std::uint64_t size;
    std::uint32_t type;
    std::uint32_t reserved;
};

static_assert(sizeof(MapEntry) == 24);

inline constexpr std::uint32_t map_type_ram = 1;

struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    [[nodiscard]] constexpr std::uint64_t size() const { return end - begin; }

    [[nodiscard]] constexpr bool overlaps(Range other) const {
        return begin < other.end && other.begin < end;
    }

    friend constexpr bool operator==(Range, Range) = default;
};

/// RAM of `map`, rounded inwards to pages, sorted, merged where it touches, without what any entry of another
/// type covers, up to `limit`. Writes to `out` and returns the part used; `out` needs 2 * map.size() + 1
/// elements.
std::span<Range> usable_ram(std::span<const MapEntry> map, std::uint64_t limit, std::span<Range> out);

}  // namespace pv::memory
