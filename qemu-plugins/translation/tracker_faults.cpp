// What a page table must never say, whoever cached it.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "translation/tracker.hpp"

namespace pv::translation {
namespace {

/// Bits of a present entry that must be clear whatever the processor's physical addresses (SDM vol. 3A,
/// tables 4-14 to 4-20).
std::uint64_t reserved_bits(std::uint64_t entry, unsigned level) {
    if (level >= 4) {
        return entry_large;
    }
    if (level >= 2 && (entry & entry_large) != 0) {
        return (size_of(level) - 1) & entry_address & ~std::uint64_t{0x1000};  // bit 12 is the PAT's
    }
    return 0;
}

}  // namespace

void Tracker::fault(const Actor& actor, trace::TableFault fault, std::uint64_t linear, std::uint64_t entry,
                    unsigned level, std::uint64_t other) {
    if (faulty_.size() < 65'536 && !faulty_.emplace(linear, static_cast<std::uint64_t>(fault)).second) {
        return;
    }
    if (++faults_[fault] > limits_.lines) {
        ++totals_.skipped;
        return;
    }
    sink_.fault(actor, fault, linear, entry, level, other);
}

void Tracker::check_reserved(const Actor& actor, std::uint64_t linear, unsigned level, std::uint64_t entry) {
    if (const std::uint64_t bits = entry & reserved_bits(entry, level); bits != 0) {
        fault(actor, trace::TableFault::reserved, linear, entry, level, bits);
    }
}

void Tracker::check(const Actor& actor, std::uint64_t linear, unsigned level, std::uint64_t entry,
                    Rights upper) {
    const Translation page = translation_of(entry, level, linear, upper);
    const std::uint64_t size = size_of(level);
    if (armed_ && page.rights.write && page.rights.execute && (armed_for_user_ || !page.rights.user)) {
        fault(actor, trace::TableFault::write_execute, linear, entry, level, 0);
    }
    for (auto at = protected_.upper_bound(page.physical + (size - 1)); at != protected_.begin();) {
        --at;
        if (at->second.end <= page.physical) {
            break;
        }
        if (at->second.kind != PV_PROTECT_CODE) {
            continue;
        }
        if (page.rights.user) {
            fault(actor, trace::TableFault::user_to_kernel, linear, entry, level, at->second.kind);
        } else if (armed_ && page.rights.write && !page.rights.execute) {
            fault(actor, trace::TableFault::alias_execute, linear, entry, level, at->first);
        }
    }
    if (!page.rights.user) {
        return;
    }
    const FrameSet& frames = tables_.frames();
    for (std::uint64_t frame = frames.first_in(page.physical, size); frame != FrameSet::none;
         frame = frames.first_in(frame + page_size, page.physical + size - (frame + page_size))) {
        Table* table = tables_.find(frame);
        if (table == nullptr) {
            continue;
        }
        if (is_used(*table)) {
            fault(actor, trace::TableFault::user_to_table, linear, entry, level, frame);
        } else {
            tables_.forget_contents(*table);  // its memory belongs to a program now
        }
    }
}

void Tracker::audit(const Actor& actor) {
    std::set<std::uint64_t> seen;
    for (const Cpu& cpu : cpus_) {
        for (const Context& context : cpu.contexts) {
            const Table* root = tables_.find(context.root);
            if (root == nullptr || !seen.insert(context.root).second) {
                continue;
            }
            const unsigned top = cpu.control.top_level();
            tables_.for_each_page(
                *root, {0, top}, top, {},
                [&](std::uint64_t linear, unsigned level, std::uint64_t entry, Rights upper) {
                    check_reserved(actor, linear, level, entry);
                    check(actor, linear, level, entry, upper);
                    return true;
                });
        }
    }
}

void Tracker::arm(const Actor& actor, bool user) {
    if (!armed_ || (user && !armed_for_user_)) {
        armed_ = true;
        armed_for_user_ |= user;
        audit(actor);
    }
}

void Tracker::protect(std::uint64_t physical, std::uint64_t length, std::uint64_t kind) {
    constexpr std::size_t most_ranges = 65'536;
    if (kind != PV_PROTECT_CODE || length == 0 || physical + length < physical ||
        protected_.size() >= most_ranges) {
        return;
    }
    protected_.insert_or_assign(physical, Protected{physical + length, kind});
}

void Tracker::unprotect(const Actor& actor, std::uint64_t physical, std::uint64_t length) {
    if (const auto found = protected_.find(physical);
        found != protected_.end() && found->second.end == physical + length) {
        protected_.erase(found);
    }
    release(actor, physical, length);
}

}  // namespace pv::translation
