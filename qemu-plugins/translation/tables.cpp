// Following tables: discovery, reference counts, walks.
// SPDX-License-Identifier: MIT
#include "translation/tables.hpp"

#include <algorithm>
#include <utility>

namespace pv::translation {
namespace {

Place below(Place place, unsigned index, unsigned top_level) {
    return {canonical(place.base + index * size_of(place.level), top_level), place.level - 1};
}

}  // namespace

Tables::Tables(const Memory& memory, std::shared_ptr<FrameMarks> marks, std::size_t most)
    : memory_(memory), most_(most), frames_(std::move(marks), mark_table) {}

Table* Tables::find(std::uint64_t frame) {
    const auto found = tables_.find(frame);
    return found == tables_.end() ? nullptr : found->second.get();
}

const Table* Tables::find(std::uint64_t frame) const {
    const auto found = tables_.find(frame);
    return found == tables_.end() ? nullptr : found->second.get();
}

unsigned Tables::level_of(const Table& table) {
    return table.places.front().level;
}

void Tables::keep_root(std::uint64_t root, unsigned top_level) {
    const auto found = roots_.find(root);
    if (found != roots_.end()) {
        if (found->second.writes == unused_writes_ && found->second.top_level == top_level) {
            return;
        }
        roots_.erase(found);
        release(root);
    }
    if (acquire(root, {0, top_level}, top_level) != nullptr) {
        roots_.emplace(root, Root{top_level, unused_writes_});
    }
}

void Tables::drop_root(std::uint64_t root) {
    if (roots_.erase(root) != 0) {
        release(root);
    }
}

Table* Tables::acquire(std::uint64_t frame, Place place, unsigned top_level) {
    if (Table* known = find(frame); known != nullptr) {
        ++known->references;
        if (!known->is_known) {
            release_children(*known);
            known->places.assign(1, place);
            read(*known, top_level);
        } else {
            add_place(*known, place, top_level);
        }
        return known;
    }
    if (tables_.size() >= most_ || memory_.table(frame) == nullptr) {
        ++skipped_;
        return nullptr;
    }
    Table& table = *tables_.emplace(frame, std::make_unique<Table>()).first->second;
    table.frame = frame;
    table.references = 1;
    table.places.push_back(place);
    read(table, top_level);
    return &table;
}

void Tables::read(Table& table, unsigned top_level) {
    const std::uint64_t* words = memory_.table(table.frame);
    table.is_known = words != nullptr;
    if (words == nullptr) {
        return;
    }
    // In the set before it is read: a store from now on is seen.
    frames_.insert(table.frame);
    for (unsigned i = 0; i < entries_count; ++i) {
        table.entries[i] = load(words + i);
    }
    for (unsigned i = 0; level_of(table) > 1 && i < entries_count; ++i) {
        if (is_table(table.entries[i], level_of(table))) {
            acquire_child(table, i, top_level);
        }
    }
}

void Tables::acquire_child(Table& table, unsigned index, unsigned top_level) {
    const std::uint64_t entry = table.entries[index];
    const std::uint64_t frame = entry & entry_address;
    // A recursive mapping: the table is not kept by itself, or it would stay for ever.
    Table* child = frame == table.frame
                       ? &table
                       : acquire(frame, below(table.places.front(), index, top_level), top_level);
    // A copy: places may come to the table itself meanwhile.
    const std::vector<Place> places = table.places;
    for (const Place place : places) {
        if (child != nullptr && place.level > 1 && is_table(entry, place.level)) {
            add_place(*child, below(place, index, top_level), top_level);
        }
    }
}

void Tables::add_place(Table& table, Place place, unsigned top_level) {
    if (std::ranges::find(table.places, place) != table.places.end()) {
        return;
    }
    if (table.places.size() >= most_places) {
        ++skipped_;
        return;
    }
    table.places.push_back(place);
    for (unsigned i = 0; place.level > 1 && i < entries_count; ++i) {
        if (is_table(table.entries[i], place.level)) {
            if (Table* child = find(table.entries[i] & entry_address); child != nullptr) {
                add_place(*child, below(place, i, top_level), top_level);
            }
        }
    }
}

void Tables::release(std::uint64_t frame) {
    Table* table = find(frame);
    if (table == nullptr || --table->references != 0) {
        return;
    }
    frames_.erase(frame);
    // Out of the map first: a table that leads back to itself must not be let go twice.
    const std::unique_ptr<Table> last = std::move(tables_.extract(frame).mapped());
    release_children(*last);
}

void Tables::release_child(const Table& table, std::uint64_t entry) {
    if (is_table(entry, level_of(table)) && (entry & entry_address) != table.frame) {
        release(entry & entry_address);
    }
}

void Tables::release_children(Table& table) {
    for (unsigned i = 0; level_of(table) > 1 && i < entries_count; ++i) {
        release_child(table, std::exchange(table.entries[i], 0));
    }
}

void Tables::replace(Table& table, unsigned index, std::uint64_t entry, unsigned top_level) {
    const std::uint64_t old = std::exchange(table.entries[index], entry);
    const unsigned level = level_of(table);
    if (level == 1 ||
        (is_table(old, level) && is_table(entry, level) && ((old ^ entry) & entry_address) == 0)) {
        return;
    }
    if (is_table(entry, level)) {
        acquire_child(table, index, top_level);
    }
    release_child(table, old);
}

std::uint64_t Tables::read_entry(const Table& table, unsigned index) const {
    const std::uint64_t* words = memory_.table(table.frame);
    return words == nullptr ? table.entries[index] : load(words + index);
}

unsigned Tables::level_at(std::uint64_t frame) const {
    const Table* table = find(frame);
    return table == nullptr || !table->is_known ? 0 : level_of(*table);
}

void Tables::forget_contents(Table& table) {
    table.is_known = false;
    frames_.erase(table.frame);
    ++unused_writes_;
}

std::optional<Tables::Way> Tables::way(std::uint64_t root, unsigned top_level, unsigned level,
                                       std::uint64_t linear) const {
    Way way{find(root), {}};
    for (unsigned at = top_level; way.table != nullptr && way.table->is_known; --at) {
        if (at == level) {
            return way;
        }
        const std::uint64_t entry = way.table->entries[index_of(linear, at)];
        if (!is_table(entry, at)) {
            return std::nullopt;
        }
        way.rights = way.rights.with(entry);
        way.table = find(entry & entry_address);
    }
    return std::nullopt;
}

std::optional<Translation> Tables::walk(std::uint64_t root, unsigned top_level, std::uint64_t linear) const {
    Rights rights;
    const Table* table = find(root);
    for (unsigned level = top_level; table != nullptr && table->is_known; --level) {
        const std::uint64_t entry = table->entries[index_of(linear, level)];
        if (!is_table(entry, level)) {
            return translation_of(entry, level, linear, rights);
        }
        rights = rights.with(entry);
        table = find(entry & entry_address);
    }
    return std::nullopt;
}

Translation Tables::walk_memory(std::uint64_t root, unsigned top_level, std::uint64_t linear,
                                Rights rights) const {
    std::uint64_t frame = root;
    for (unsigned level = top_level;; --level) {
        const std::uint64_t* words = memory_.table(frame);
        if (words == nullptr) {
            return {};
        }
        const std::uint64_t entry = load(words + index_of(linear, level));
        if (!is_table(entry, level)) {
            return translation_of(entry, level, linear, rights);
        }
        rights = rights.with(entry);
        frame = entry & entry_address;
    }
}

bool Tables::for_each_page(const Table& table, Place place, unsigned top_level, Rights upper,
                           const Visit& visit) const {
    for (unsigned i = 0; i < entries_count; ++i) {
        const std::uint64_t entry = table.entries[i];
        if (!is_present(entry)) {
            continue;
        }
        const std::uint64_t linear = canonical(place.base + i * size_of(place.level), top_level);
        if (is_page(entry, place.level)) {
            if (!visit(linear, place.level, entry, upper)) {
                return false;
            }
        } else if (place.level > 1) {
            const Table* child = find(entry & entry_address);
            if (child != nullptr && child->is_known &&
                !for_each_page(*child, {linear, place.level - 1}, top_level, upper.with(entry), visit)) {
                return false;
            }
        }
    }
    return true;
}

}  // namespace pv::translation
