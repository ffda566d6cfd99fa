// Entries of x86-64 page tables, and what a translation lets a processor do.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

/// Intel SDM vol. 3A, 4.5 (four-level and five-level paging). Levels count from 1, the table whose entries
/// map 4 KiB, to 5. "Table" is a 4 KiB page of 512 entries.
namespace pv::translation {

inline constexpr unsigned entries_count = 512;
inline constexpr std::uint64_t page_size = 4096;

enum EntryBit : std::uint64_t {
    entry_present = 1ULL << 0,
    entry_writable = 1ULL << 1,
    entry_user = 1ULL << 2,
    entry_accessed = 1ULL << 5,
    entry_dirty = 1ULL << 6,
    entry_large = 1ULL << 7,   ///< levels 2 and 3: maps a page; level 1: a memory type
    entry_global = 1ULL << 8,  ///< of an entry that maps a page, while CR4.PGE is set
    entry_no_execute = 1ULL << 63,
};

inline constexpr std::uint64_t entry_address = 0x000f'ffff'ffff'f000;

constexpr unsigned shift_of(unsigned level) {
    return 12 + 9 * (level - 1);
}

/// Bytes one entry of that level stands for.
constexpr std::uint64_t size_of(unsigned level) {
    return 1ULL << shift_of(level);
}

constexpr unsigned index_of(std::uint64_t linear, unsigned level) {
    return static_cast<unsigned>(linear >> shift_of(level) & (entries_count - 1));
}

/// Sign-extends what the top level translates.
constexpr std::uint64_t canonical(std::uint64_t linear, unsigned top_level) {
    const unsigned unused = 64 - (shift_of(top_level) + 9);
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << unused) >> unused);
}

constexpr bool is_present(std::uint64_t entry) {
    return (entry & entry_present) != 0;
}

/// Whether a present entry maps a page; else it leads to a table.
constexpr bool is_page(std::uint64_t entry, unsigned level) {
    return level == 1 || (level <= 3 && (entry & entry_large) != 0);
}

constexpr bool is_table(std::uint64_t entry, unsigned level) {
    return is_present(entry) && !is_page(entry, level);
}

/// What all entries on the way allow together.
struct Rights {
    bool write = true;
    bool execute = true;
    bool user = true;

    [[nodiscard]] constexpr Rights with(std::uint64_t entry) const {
        return {write && (entry & entry_writable) != 0, execute && (entry & entry_no_execute) == 0,
                user && (entry & entry_user) != 0};
    }

    /// Whether this allows what `other` does not.
    [[nodiscard]] constexpr bool exceeds(Rights other) const {
        return (write && !other.write) || (execute && !other.execute) || (user && !other.user);
    }

    bool operator==(const Rights&) const = default;
};

/// What a linear page leads to. The page is 4 KiB also where a larger one is mapped: `physical` is its own.
struct Translation {
    bool present = false;
    std::uint64_t physical = 0;
    Rights rights{};
    unsigned level = 0;   ///< of the entry that maps it
    bool global = false;  ///< its bit; what it means depends on CR4.PGE

    bool operator==(const Translation&) const = default;
};

/// Of `entry` (of `level`, below `upper`) for the 4 KiB page around `linear`.
constexpr Translation translation_of(std::uint64_t entry, unsigned level, std::uint64_t linear,
                                     Rights upper) {
    if (!is_present(entry) || !is_page(entry, level)) {
        return {};
    }
    const std::uint64_t inside = linear & (size_of(level) - 1) & ~(page_size - 1);
    const std::uint64_t base = entry & entry_address & ~(size_of(level) - 1);
    return {true, base + inside, upper.with(entry), level, (entry & entry_global) != 0};
}

/// True when a processor that still has `old` can do what the tables no longer allow: reach another page, or
/// the same one with rights that were taken away. Rights given, and a page that came where none was, need no
/// invalidation: no processor keeps that there was nothing, and a fault through too few rights makes it look
/// again (4.10.4.3).
constexpr bool gives_more(const Translation& old, const Translation& now) {
    return old.present && (!now.present || old.physical != now.physical || old.rights.exceeds(now.rights));
}

}  // namespace pv::translation
