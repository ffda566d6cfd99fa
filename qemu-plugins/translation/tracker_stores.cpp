// Stores into tables: what they take away, from whom, and what they must never say.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "translation/tracker.hpp"

namespace pv::translation {
namespace {

/// Bits of an entry on which a translation depends. Not among them: accessed and dirty, memory types, what is
/// left to software.
constexpr std::uint64_t meaning = entry_present | entry_writable | entry_user | entry_large | entry_global |
                                  entry_no_execute | entry_address;

/// Pages counted one by one when an entry that leads to a table changes.
constexpr std::size_t most_pages = 4096;

}  // namespace

void Tracker::store(const Actor& actor, std::uint64_t physical, std::size_t size) {
    const std::uint64_t end = physical + size;
    while (physical < end) {
        const std::uint64_t frame = physical & ~(page_size - 1);
        Table* table = tables_.find(frame);
        const std::uint64_t stop = std::min(end, frame + page_size);
        for (; physical < stop; physical = (physical | 7) + 1) {
            const auto index = static_cast<unsigned>((physical & (page_size - 1)) / 8);
            if (table == nullptr || !table->is_known) {
                break;
            }
            const std::uint64_t entry = tables_.read_entry(*table, index);
            if (entry != table->entries[index]) {
                entry_changed(actor, *table, index, entry);
                table = tables_.find(frame);
            }
        }
        physical = stop;
    }
}

void Tracker::entry_changed(const Actor& actor, Table& table, unsigned index, std::uint64_t entry) {
    const std::uint64_t old = table.entries[index];
    if (((old ^ entry) & meaning) == 0 || (!is_present(old) && !is_present(entry))) {
        table.entries[index] = entry;
        return;
    }
    ++totals_.entries;

    struct Use {
        std::uint64_t linear;
        unsigned level;
        Rights upper;
    };

    std::vector<Use> uses;  // each once, whoever makes it
    std::vector<Former> formers;
    unsigned top_level = 0;
    for (const Place place : table.places) {
        for (unsigned i = 0; i < cpus_.size(); ++i) {
            const Control& control = cpus_[i].control;
            const std::uint64_t linear =
                canonical(place.base + index * size_of(place.level), control.top_level());
            for (const Context& context : cpus_[i].contexts) {
                const auto way = tables_.way(context.root, control.top_level(), place.level, linear);
                if (!way || way->table != &table) {
                    continue;
                }
                top_level = control.top_level();
                if (std::ranges::none_of(uses, [&](const Use& use) {
                        return use.linear == linear && use.level == place.level && use.upper == way->rights;
                    })) {
                    uses.push_back({linear, place.level, way->rights});
                }
                collect(formers, i, context, linear, place.level, old, way->rights, control.has_globals());
            }
        }
    }
    if (uses.empty()) {
        tables_.forget_contents(table);
        return;
    }
    std::uint64_t other_level = 0;
    if (Table* child = is_page(entry, uses.front().level) ? nullptr : tables_.find(entry & entry_address);
        is_present(entry) && child != nullptr && child != &table) {
        if (is_used(*child)) {
            other_level = tables_.level_at(child->frame);
        } else {
            tables_.forget_contents(*child);  // the table of an address space that is gone, used again
        }
    }
    tables_.replace(table, index, entry, top_level);
    Change change{.number = 0,
                  .linear = uses.front().linear,
                  .old_entry = old,
                  .new_entry = entry,
                  .level = uses.front().level,
                  .cpu = actor.cpu,
                  .pc = actor.pc,
                  .time = actor.time,
                  .instructions = actor.instructions};
    owe(formers, change);
    if (!is_present(entry)) {
        return;
    }
    if (other_level != 0 && other_level != uses.front().level - 1) {
        fault(actor, trace::TableFault::two_levels, uses.front().linear, entry, uses.front().level,
              other_level);
    }
    for (const Use& use : uses) {
        check_reserved(actor, use.linear, use.level, entry);
        if (is_page(entry, use.level)) {
            check(actor, use.linear, use.level, entry, use.upper);
        } else if (const Table* child = tables_.find(entry & entry_address);
                   child != nullptr && use.level > 1) {
            tables_.for_each_page(
                *child, {use.linear, use.level - 1}, top_level, use.upper.with(entry),
                [&](std::uint64_t linear, unsigned level, std::uint64_t page, Rights upper) {
                    check(actor, linear, level, page, upper);
                    return true;
                });
        }
    }
}

void Tracker::collect(std::vector<Former>& formers, unsigned cpu, Context context, std::uint64_t linear,
                      unsigned level, std::uint64_t entry, Rights upper, bool has_globals) {
    const auto add = [&](std::uint64_t at, unsigned of_level, std::uint64_t page, Rights above) {
        Former former{cpu, context, at, translation_of(page, of_level, at, above), false};
        former.old.global = former.old.global && has_globals;
        formers.push_back(former);
        return true;
    };
    if (!is_present(entry)) {
        return;
    }
    if (is_page(entry, level)) {
        add(linear, level, entry, upper);
        return;
    }
    // The table itself, for the paging-structure caches: `present` is false.
    formers.push_back(
        {cpu, context, linear, {false, entry & entry_address, upper.with(entry), level, false}, false});
    const Table* child = tables_.find(entry & entry_address);
    if (child == nullptr || !child->is_known) {
        return;
    }
    const std::size_t before = formers.size();
    bool has_global = false;
    const bool is_all = tables_.for_each_page(
        *child, {linear, level - 1}, cpus_[cpu].control.top_level(), upper.with(entry),
        [&](std::uint64_t at, unsigned of_level, std::uint64_t page, Rights above) {
            has_global |= has_globals && (page & entry_global) != 0;
            return formers.size() - before < most_pages && add(at, of_level, page, above);
        });
    if (!is_all) {
        formers.resize(before);
        formers.push_back({cpu, context, linear, {true, 0, upper.with(entry), level, has_global}, true});
    }
}

bool Tracker::differs(const Former& former) const {
    const Control& control = cpus_[former.cpu].control;
    const unsigned top = control.top_level();
    const std::uint64_t root = former.context.root;
    if (!former.old.present) {  // a table
        const auto way = tables_.way(root, top, former.old.level - 1, former.linear);
        return !way || way->table->frame != former.old.physical || former.old.rights.exceeds(way->rights);
    }
    if (former.coarse) {
        return true;
    }
    const std::uint64_t size = size_of(former.old.level);
    const auto now = tables_.walk(root, top, former.linear);
    if (!now) {
        return false;  // not known: nothing is said of it
    }
    if (former.old.global && !now->global) {
        return true;  // still given, but what is cached as global outlives what ends the new one
    }
    if (gives_more(former.old, *now) || !now->present || now->level >= former.old.level) {
        return gives_more(former.old, *now);
    }
    // A large page was split: the pages it has now, each.
    for (std::uint64_t offset = 0; offset < size; offset += page_size) {
        Translation old = former.old;
        old.physical += offset;
        if (const auto page = tables_.walk(root, top, former.linear + offset);
            page && gives_more(old, *page)) {
            return true;
        }
    }
    return false;
}

void Tracker::note_frames(const Obligation& obligation) {
    if (obligation.structure) {
        owed_frames_.insert(obligation.old.physical);
    } else if (!obligation.coarse && obligation.old.level <= 2) {
        for (std::uint64_t offset = 0; offset < size_of(obligation.old.level); offset += page_size) {
            owed_frames_.insert(obligation.old.physical + offset);
        }
    }
}

void Tracker::owe(const std::vector<Former>& formers, Change& change) {
    bool any = false;
    for (const Former& former : formers) {
        if (!differs(former)) {
            continue;
        }
        if (!any) {
            any = true;
            change.number = ++last_change_;
            ++totals_.changes;
        }
        const std::uint64_t size = size_of(former.old.level);
        Obligation obligation;
        obligation.first = former.linear;
        obligation.last = former.linear + (size - 1);
        obligation.root = former.context.root;
        obligation.pcid = former.context.pcid;
        obligation.structure = !former.old.present;
        obligation.coarse = former.coarse;
        obligation.global = former.old.global;
        obligation.old = former.old;
        obligation.change = change;
        if (cpus_[former.cpu].owed.add(obligation)) {
            ++totals_.taken;
            note_frames(obligation);
        } else {
            ++totals_.skipped;
        }
    }
}

void Tracker::root_changed(const Actor& actor, Cpu& cpu, std::uint64_t old_root) {
    // A write to CR3 that kept what was cached of another root under the same PCID.
    const auto index = static_cast<unsigned>(&cpu - cpus_.data());
    const Table* old = tables_.find(old_root);
    std::vector<Former> formers;
    const Context context{cpu.control.pcid(), cpu.control.root()};
    const unsigned top = cpu.control.top_level();
    for (unsigned i = 0; old != nullptr && old->is_known && i < entries_count; ++i) {
        collect(formers, index, context, canonical(i * size_of(top), top), top, old->entries[i], {},
                cpu.control.has_globals());
    }
    Change change{.number = 0,
                  .linear = 0,
                  .old_entry = old_root,
                  .new_entry = cpu.control.root(),
                  .level = top + 1,
                  .cpu = actor.cpu,
                  .pc = actor.pc,
                  .time = actor.time,
                  .instructions = actor.instructions};
    owe(formers, change);
}

bool Tracker::is_used(const Table& table) const {
    return std::ranges::any_of(cpus_, [&](const Cpu& cpu) {
        return std::ranges::any_of(cpu.contexts, [&](const Context& context) {
            return std::ranges::any_of(table.places, [&](Place place) {
                const auto way = tables_.way(context.root, cpu.control.top_level(), place.level, place.base);
                return way && way->table == &table;
            });
        });
    });
}

}  // namespace pv::translation
