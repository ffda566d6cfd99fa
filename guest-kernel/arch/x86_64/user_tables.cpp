// The page tables of one address space of a program.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/user_tables.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/page_table_entry.hpp"
#include "base/atomic.hpp"
#include "base/marker.hpp"
#include "base/panic.hpp"
#include "memory/direct_map.hpp"
#include "memory/frame_owners.hpp"
#include "memory/frames.hpp"
#include "misbehave/misbehave.hpp"

namespace pv::arch {
namespace {

using namespace paging;

/// Not present any more, but not given back yet: some processor may remember it. A bit that processors
/// ignore.
constexpr std::uint64_t leaving = 1ULL << 10;
/// A page that is kept out of everybody's reach. The same.
constexpr std::uint64_t hidden = 1ULL << 11;
constexpr std::uint64_t held = present | hidden;

/// Parts of large pages of all tables.
constinit Atomic<std::uint64_t> all_large{0};

std::uint64_t* entries(PhysicalAddress table) {
    return memory::to_pointer<std::uint64_t>(table);
}

std::uint64_t encode(UserPage page) {
    // Accessed and dirty beforehand: nobody asks them, and the processor need not write them.
    return page.frame.value() | (page.reachable ? present : hidden) | user | accessed | dirty |
           (page.writable ? writable : 0) | (page.executable ? 0 : no_execute);
}

// `level`: 1 for a large page.
UserPage decode(std::uint64_t entry, unsigned level) {
    return {target(entry), (entry & writable) != 0, (entry & no_execute) == 0, (entry & present) != 0,
            level > 0};
}

bool is_page(std::uint64_t entry, unsigned level) {
    return level == 0 || (entry & large) != 0;
}

// Tables are no device's business: said by markers for as long as a frame is one.
Result<PhysicalAddress> allocate_table() {
    const PhysicalAddress frame = PV_TRY(memory::allocate_frames(0));
    marker::memory_protect(frame, page_size, marker::Protection::table);
    std::memset(entries(frame), 0, page_size);
    return frame;
}

void free_table(PhysicalAddress frame) {
    marker::memory_unprotect(frame, page_size);
    memory::free_frames(frame, 0);
}

// A walker on another processor sees an entry whole or not at all.
void store(std::uint64_t& entry, std::uint64_t value) {
    AtomicRef(entry).store(value, std::memory_order_release);
}

// Eight entries, beginning at a multiple of eight, of which none is used: most of most tables.
bool are_empty(const std::uint64_t* eight) {
    return (eight[0] | eight[1] | eight[2] | eight[3] | eight[4] | eight[5] | eight[6] | eight[7]) == 0;
}

// Calls f(first address, entry) for the entries of a table that overlap [begin, end) and are used.
template <class F>
void for_entries(PhysicalAddress table, unsigned level, std::uint64_t base, std::uint64_t begin,
                 std::uint64_t end, F&& f) {
    if (end <= base) {
        return;
    }
    std::uint64_t* const list = entries(table);
    const std::uint64_t size = size_of(level);
    const std::uint64_t last = std::min<std::uint64_t>((end - base - 1) / size + 1, entries_per_table);
    std::uint64_t i = begin > base ? (begin - base) / size : 0;
    while (i < last) {
        if (i % 8 == 0 && are_empty(list + i)) {
            i += 8;
            continue;
        }
        if (list[i] != 0) {
            f(base + i * size, list[i]);
        }
        ++i;
    }
}

}  // namespace

Result<Ref<UserTables>> UserTables::create() {
    const PhysicalAddress root = PV_TRY(allocate_table());
    std::uint64_t* top = entries(root);
    // The kernel's half: its entries of the top level are all there before the first program is.
    std::memcpy(top + entries_per_table / 2, entries(kernel_page_table().root()) + entries_per_table / 2,
                page_size / 2);
    auto* tables = new (std::nothrow) UserTables(root);
    if (tables == nullptr) {
        free_table(root);
        return fail(Error::out_of_memory);
    }
    return Ref<UserTables>::adopt(tables);
}

UserTables::~UserTables() {
    PV_ASSERT(users().none() && (has_lost_frames_ || (pages() == 0 && tables() == 1)));
    free_table(root_);
}

std::optional<UserPage> UserTables::lookup(UserAddress address) const {
    PhysicalAddress table = root_;
    for (unsigned level = top_level;; --level) {
        const std::uint64_t entry = entries(table)[index_of(address.value(), level)];
        if ((entry & held) == 0) {
            return std::nullopt;
        }
        if (is_page(entry, level)) {
            UserPage page = decode(entry, level);
            page.frame = page.frame + align_down(address.value() & (size_of(level) - 1), page_size);
            return page;
        }
        table = target(entry);
    }
}

// Makes the entry one of a table of the next level, unless it is.
Result<> UserTables::ensure_table(std::uint64_t& entry) {
    if ((entry & present) == 0) {
        const PhysicalAddress fresh = PV_TRY(allocate_table());
        store(entry, fresh.value() | present | writable | user | accessed);
        tables_.fetch_add(1, std::memory_order_relaxed);
    }
    return {};
}

Result<std::uint64_t*> UserTables::ensure_entry(UserAddress address, unsigned level) {
    PhysicalAddress table = root_;
    for (unsigned above = top_level; above > level; --above) {
        std::uint64_t& entry = entries(table)[index_of(address.value(), above)];
        PV_ASSERT((entry & large) == 0);
        PV_TRY(ensure_table(entry));
        table = target(entry);
    }
    return &entries(table)[index_of(address.value(), level)];
}

Result<> UserTables::set(UserAddress address, UserPage page) {
    PV_ASSERT(address < user_end);
    std::uint64_t& entry = *PV_TRY(ensure_entry(address, 0));
    if ((entry & held) == 0) {
        pages_.fetch_add(1, std::memory_order_relaxed);
    }
    store(entry, encode(page));
    return {};
}

void UserTables::count_large(std::uint64_t come, std::uint64_t gone) {
    large_.fetch_add(come - gone, std::memory_order_relaxed);
    all_large.fetch_add(come - gone, std::memory_order_relaxed);
}

std::uint64_t UserTables::large_pages_of_all() {
    return all_large.load(std::memory_order_relaxed);
}

// The entry of the large page around `address`, nullptr when there is none.
std::uint64_t* UserTables::find_large(UserAddress address) const {
    PhysicalAddress table = root_;
    for (unsigned level = top_level;; --level) {
        std::uint64_t& entry = entries(table)[index_of(address.value(), level)];
        if ((entry & held) == 0) {
            return nullptr;
        }
        if (level == 1) {
            return (entry & large) != 0 ? &entry : nullptr;
        }
        table = target(entry);
    }
}

bool UserTables::has_room_for_large(UserAddress address) const {
    PhysicalAddress table = root_;
    for (unsigned level = top_level; level > 0; --level) {
        const std::uint64_t entry = entries(table)[index_of(address.value(), level)];
        if (entry == 0) {
            return true;
        }
        table = target(entry);
    }
    return false;
}

Result<> UserTables::stock_table() {
    const PhysicalAddress fresh = PV_TRY(allocate_table());
    entries(fresh)[0] = stock_.value();
    stock_ = fresh;
    tables_.fetch_add(1, std::memory_order_relaxed);
    return {};
}

PhysicalAddress UserTables::take_stocked_table() {
    PV_ASSERT(stock_ != PhysicalAddress(0));
    const PhysicalAddress table = stock_;
    stock_ = PhysicalAddress(std::exchange(entries(table)[0], 0));
    return table;
}

Result<> UserTables::set_large(UserAddress address, UserPage page) {
    PV_ASSERT(address.is_aligned(large_page_size) && page.frame.is_aligned(large_page_size) &&
              user_end - address >= large_page_size);
    std::uint64_t& entry = *PV_TRY(ensure_entry(address, 1));
    PV_ASSERT(entry == 0 || ((entry & large) != 0 && target(entry) == page.frame));
    if (entry == 0) {
        PV_TRY(stock_table());
        pages_.fetch_add(entries_per_table, std::memory_order_relaxed);
        count_large(entries_per_table, 0);
    }
    store(entry, encode(page) | large);
    return {};
}

void UserTables::split_entry(std::uint64_t& entry) {
    const PhysicalAddress table = take_stocked_table();
    const std::uint64_t first = entry & ~large;
    for (unsigned i = 0; i < entries_per_table; ++i) {
        entries(table)[i] = first + std::uint64_t{i} * page_size;
    }
    memory::split_frames(target(entry), large_page_order);
    store(entry, table.value() | present | writable | user | accessed);
    count_large(0, entries_per_table);
}

void UserTables::split_at(UserAddress address) {
    if (large_pages() == 0 || address.is_aligned(large_page_size)) {
        return;
    }
    if (std::uint64_t* const entry = find_large(address)) {
        split_entry(*entry);
    }
}

void UserTables::split(UserAddress begin, UserAddress end) {
    if (large_pages() == 0) {
        return;
    }
    const auto walk = [&](const auto& self, PhysicalAddress table, unsigned level,
                          std::uint64_t base) -> void {
        for_entries(table, level, base, begin.value(), end.value(),
                    [&](std::uint64_t at, std::uint64_t& entry) {
                        if (level > 1) {
                            self(self, target(entry), level - 1, at);
                        } else if ((entry & large) != 0) {
                            split_entry(entry);
                        }
                    });
    };
    walk(walk, root_, top_level, 0);
}

// First half of a removal: nothing of it is present any more. True when something was. What lies in a table
// that goes is out of reach with the table's own entry.
bool UserTables::mark(PhysicalAddress table, unsigned level, std::uint64_t base, std::uint64_t begin,
                      std::uint64_t end, std::uint64_t floor, std::uint64_t ceiling) {
    bool any = false;
    for_entries(table, level, base, begin, end, [&](std::uint64_t at, std::uint64_t& entry) {
        if ((entry & held) == 0) {
            return;
        }
        if (is_page(entry, level) || (at >= floor && at + size_of(level) <= ceiling)) {
            store(entry, (entry & ~held) | leaving);
            any = true;
        } else {
            any |= mark(target(entry), level - 1, at, begin, end, floor, ceiling);
        }
    });
    return any;
}

// Second half, when no processor remembers: frames and tables go back. All of them where the table itself
// `goes`.
void UserTables::sweep(PhysicalAddress table, unsigned level, std::uint64_t base, std::uint64_t begin,
                       std::uint64_t end, bool goes, Swept& swept) {
    for_entries(table, level, base, begin, end, [&](std::uint64_t at, std::uint64_t& entry) {
        const bool entry_goes = (entry & (goes ? held | leaving : leaving)) != 0;
        const PhysicalAddress frame = target(entry);
        const bool page = is_page(entry, level);
        if (!page && (entry & (present | leaving)) != 0) {
            sweep(frame, level - 1, at, begin, end, entry_goes, swept);
        }
        if (!entry_goes) {
            return;
        }
        store(entry, 0);
        if (!page) {
            ++swept.tables;
            free_table(frame);
            return;
        }
        swept.pages += size_of(level) / page_size;
        swept.give_back(frame, level == 0 ? 0 : large_page_order);
        if (level > 0) {
            ++swept.large;
            ++swept.tables;
            free_table(take_stocked_table());
        }
    });
}

Result<> UserTables::remove(UserAddress begin, UserAddress end, UserAddress floor, UserAddress ceiling,
                            FunctionRef<void(PhysicalAddress, unsigned)> give_back) {
    split_at(begin);
    split_at(end);
    if (!mark(root_, top_level, 0, begin.value(), end.value(), floor.value(), ceiling.value())) {
        return {};
    }
    Swept swept{give_back};
    if (misbehave::take(misbehave::Rule::tlb_freed_while_cached)) {
        sweep(root_, top_level, 0, begin.value(), end.value(), false, swept);
    }
    if (const Result<> flushed = flush(begin, end); !flushed) {
        has_lost_frames_ = true;
        return flushed;
    }
    sweep(root_, top_level, 0, begin.value(), end.value(), false, swept);
    pages_.fetch_sub(swept.pages, std::memory_order_relaxed);
    if (swept.large > 0) {
        count_large(0, swept.large * entries_per_table);
    }
    tables_.fetch_sub(swept.tables, std::memory_order_relaxed);
    return {};
}

Result<bool> UserTables::share(UserTables& child, UserAddress begin, UserAddress end) {
    Result<> done;
    bool was_writable = false;
    std::uint64_t pages = 0;
    split(begin, end);
    const auto walk = [&](const auto& self, PhysicalAddress mine, PhysicalAddress its, unsigned level,
                          std::uint64_t base) -> void {
        const std::uint64_t* const first = entries(mine);
        for_entries(mine, level, base, begin.value(), end.value(),
                    [&](std::uint64_t at, std::uint64_t& entry) {
                        if ((entry & held) == 0 || !done) {
                            return;
                        }
                        std::uint64_t& copy = entries(its)[&entry - first];
                        if (level == 0) {
                            PV_ASSERT((copy & held) == 0);
                            memory::add_owner(target(entry));
                            if ((entry & writable) != 0) {
                                was_writable = true;
                                store(entry, entry & ~writable);
                            }
                            store(copy, entry);
                            ++pages;
                        } else if (done = child.ensure_table(copy); done) {
                            self(self, target(entry), target(copy), level - 1, at);
                        }
                    });
    };
    walk(walk, root_, child.root_, top_level, 0);
    child.pages_.fetch_add(pages, std::memory_order_relaxed);
    PV_TRY(done);
    return was_writable;
}

void UserTables::change(UserAddress begin, UserAddress end,
                        FunctionRef<std::optional<UserPage>(UserAddress, UserPage)> change) {
    const auto walk = [&](const auto& self, PhysicalAddress table, unsigned level,
                          std::uint64_t base) -> void {
        for_entries(table, level, base, begin.value(), end.value(),
                    [&](std::uint64_t at, std::uint64_t& entry) {
                        if ((entry & held) == 0) {
                            return;
                        }
                        if (!is_page(entry, level)) {
                            self(self, target(entry), level - 1, at);
                        } else if (const auto page = change(UserAddress(at), decode(entry, level))) {
                            store(entry, encode(*page) | (level > 0 ? large : 0));
                        }
                    });
    };
    split_at(begin);
    split_at(end);
    walk(walk, root_, top_level, 0);
}

tlb::CpuSet UserTables::users() const {
    tlb::CpuSet set;
    for (unsigned i = 0; i < cpu_count(); ++i) {
        if ((users_[i / 64].load(std::memory_order_relaxed) >> (i % 64) & 1) != 0) {
            set.set(i);
        }
    }
    return set;
}

// RULE: this side changes the tables, then reads who has them loaded; a processor enlists, then loads. With a
// full fence between the two on both sides, it is asked or finds the new entries.
Result<> UserTables::flush(UserAddress begin, UserAddress end) const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return tlb::flush(VirtualAddress(begin.value()), end - begin, users(), root_);
}

void UserTables::enter(unsigned cpu) {
    users_[cpu / 64].fetch_or(1ULL << (cpu % 64), std::memory_order_seq_cst);
}

void UserTables::leave(unsigned cpu) {
    users_[cpu / 64].fetch_and(~(1ULL << (cpu % 64)), std::memory_order_seq_cst);
}

}  // namespace pv::arch
