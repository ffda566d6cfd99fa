// The tree of a file's pages.
// SPDX-License-Identifier: MIT
#include "fs/page_tree.hpp"

#include <algorithm>
#include <cstring>

#include "base/panic.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"

namespace pv::fs {

PageTree::~PageTree() {
    PV_ASSERT(count_ == 0 && root_ == 0);
}

PageTree::Table* PageTree::table_at(std::uint64_t entry) {
    return memory::to_pointer<Table>(PhysicalAddress(entry));
}

std::uint64_t PageTree::make_table() {
    static_assert(sizeof(Table) == page_size);
    const Result<PhysicalAddress> frame = memory::allocate_frames(0);
    if (!frame) {
        return 0;
    }
    std::memset(memory::to_pointer(*frame), 0, page_size);
    return frame->value();
}

bool PageTree::is_empty(const Table& table) {
    return std::ranges::all_of(table.entries, [](std::uint64_t entry) { return entry == 0; });
}

unsigned PageTree::place_in(std::uint64_t index, unsigned height) {
    return static_cast<unsigned>(index >> ((height - 1) * level_bits)) & (places - 1);
}

std::optional<PhysicalAddress> PageTree::find(std::uint64_t index) const {
    if (index >= reach(height_)) {
        return std::nullopt;
    }
    std::uint64_t entry = root_;
    for (unsigned height = height_; height > 0 && entry != 0; --height) {
        entry = table_at(entry)->entries[place_in(index, height)];
    }
    if (entry == 0) {
        return std::nullopt;
    }
    return PhysicalAddress(entry);
}

Outcome<> PageTree::insert(std::uint64_t index, PhysicalAddress frame) {
    if (index >= index_end) {
        return fail(Errno::efbig);
    }
    while (index >= reach(height_)) {
        if (root_ != 0) {
            const std::uint64_t above = make_table();
            if (above == 0) {
                return fail(Errno::enomem);
            }
            table_at(above)->entries[0] = root_;
            root_ = above;
        }
        ++height_;
    }
    std::uint64_t* entry = &root_;
    for (unsigned height = height_; height > 0; --height) {
        if (*entry == 0) {
            // An empty table that a failure leaves behind serves the next insertion, or goes with the last
            // page of the file's end (remove).
            *entry = make_table();
            if (*entry == 0) {
                return fail(Errno::enomem);
            }
        }
        entry = &table_at(*entry)->entries[place_in(index, height)];
    }
    PV_ASSERT(*entry == 0);
    *entry = frame.value();
    ++count_;
    return {};
}

std::optional<PhysicalAddress> PageTree::remove(std::uint64_t index) {
    if (index >= reach(height_)) {
        return std::nullopt;
    }
    std::array<std::uint64_t*, height_max + 1> path{};
    std::uint64_t* entry = &root_;
    path[height_] = entry;
    for (unsigned height = height_; height > 0 && *entry != 0; --height) {
        entry = &table_at(*entry)->entries[place_in(index, height)];
        path[height - 1] = entry;
    }
    if (path[0] == nullptr || *path[0] == 0) {
        return std::nullopt;
    }
    const PhysicalAddress frame(*path[0]);
    *path[0] = 0;
    --count_;
    for (unsigned height = 1; height <= height_; ++height) {
        std::uint64_t* table = path[height];
        if (!is_empty(*table_at(*table))) {
            break;
        }
        memory::free_frames(PhysicalAddress(*table), 0);
        *table = 0;
    }
    if (root_ == 0) {
        height_ = 0;
    }
    return frame;
}

std::uint64_t PageTree::search(std::uint64_t entry, unsigned height, std::uint64_t base,
                               std::uint64_t index) const {
    if (entry == 0) {
        return index_end;
    }
    if (height == 0) {
        return base;
    }
    const std::uint64_t part = reach(height - 1);
    for (std::uint64_t place = index > base ? (index - base) / part : 0; place < places; ++place) {
        const std::uint64_t found =
            search(table_at(entry)->entries[place], height - 1, base + place * part, index);
        if (found != index_end) {
            return found;
        }
    }
    return index_end;
}

std::uint64_t PageTree::next_present(std::uint64_t index) const {
    if (index >= reach(height_)) {
        return index_end;
    }
    return search(root_, height_, 0, index);
}

}  // namespace pv::fs
