// The boot memory map made usable.
// SPDX-License-Identifier: MIT
#include "memory/memory_map.hpp"

#include <algorithm>

namespace pv::memory {
namespace {

// The end of an entry, which may claim to reach past the last address.
std::uint64_t end_of(const MapEntry& entry) {
    std::uint64_t end = 0;
    return __builtin_add_overflow(entry.address, entry.size, &end) ? ~std::uint64_t{0} : end;
}

}  // namespace

std::span<Range> usable_ram(std::span<const MapEntry> map, std::uint64_t limit, std::span<Range> out) {
    std::size_t used = 0;
    // A sweep without a list of edges: from each position to the nearest edge above it, everything is alike.
    std::uint64_t position = 0;
    while (position < limit) {
        bool ram = false;
        bool other = false;
        std::uint64_t next = limit;
        for (const MapEntry& entry : map) {
            const std::uint64_t end = end_of(entry);
            if (entry.size == 0) {
                continue;
            }
            if (entry.address <= position && position < end) {
                (entry.type == map_type_ram ? ram : other) = true;
            }
            if (entry.address > position) {
                next = std::min(next, entry.address);
            }
            if (end > position) {
                next = std::min(next, end);
            }
        }
        if (ram && !other) {
            if (used > 0 && out[used - 1].end == position) {
                out[used - 1].end = next;
            } else if (used < out.size()) {
                out[used++] = {position, next};
            }
        }
        position = next;
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < used; ++i) {
        const Range range{align_up(out[i].begin, page_size), align_down(out[i].end, page_size)};
        if (range.begin < range.end) {
            out[kept++] = range;
        }
    }
    return out.first(kept);
}

}  // namespace pv::memory
