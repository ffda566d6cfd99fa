// What breaks a rule: uses of what was taken away, shootdowns that did not reach everybody, frames given back
// too early.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iterator>
#include <optional>

#include "translation/tracker.hpp"

namespace pv::translation {
namespace {

constexpr std::size_t most_shootdowns = 1024;
constexpr std::uint64_t cr0_write_protect = 1ULL << 16;

/// What `old` (of the page at `first`) gives at `linear`, in the same page.
Translation at(const Translation& old, std::uint64_t first, std::uint64_t linear) {
    Translation here = old;
    here.physical += (linear - first) & ~(page_size - 1);
    return here;
}

}  // namespace

bool Tracker::is_due(const Obligation& obligation, const Actor& actor) const {
    const Change& change = obligation.change;
    return actor.time - change.time >= limits_.grace &&
           instructions_(change.cpu) - change.instructions >= limits_.grace_instructions;
}

Translation Tracker::now_at(const Cpu& cpu, const Obligation& obligation, std::uint64_t linear) const {
    // From memory: what the guest has now counts, whatever was missed of it.
    return tables_.walk_memory(obligation.root, cpu.control.top_level(), linear);
}

bool Tracker::is_stale(const Cpu& cpu, const Obligation& obligation, std::uint64_t linear) const {
    if (obligation.structure) {
        const auto way =
            tables_.way(obligation.root, cpu.control.top_level(), obligation.old.level - 1, obligation.first);
        return !way || way->table->frame != obligation.old.physical ||
               obligation.old.rights.exceeds(way->rights);
    }
    return obligation.coarse ||
           gives_more(at(obligation.old, obligation.first, linear), now_at(cpu, obligation, linear));
}

bool Tracker::tell(const Change& change, std::int64_t time) {
    if (lines_ >= limits_.lines) {
        ++totals_.skipped;
        return false;
    }
    ++lines_;
    if (told_.insert(change.number).second) {
        sink_.change(change, time - change.time);
    }
    return true;
}

template <class Concerned, class Say>
void Tracker::judge_holders(std::int64_t time, const Concerned& concerned, const Say& say) {
    for (unsigned holder = 0; holder < cpus_.size(); ++holder) {
        Cpu& cpu = cpus_[holder];
        bool said = false;
        cpu.owed.for_each([&](Obligation& obligation) {
            if (obligation.reported) {
                return;
            }
            const std::optional<std::uint64_t> linear = concerned(obligation);
            if (!linear || !is_stale(cpu, obligation, *linear)) {
                return;
            }
            obligation.reported = true;
            if (said || !tell(obligation.change, time)) {
                return;
            }
            said = true;
            say(holder, obligation, *linear);
        });
    }
}

void Tracker::access(const Actor& actor, std::uint64_t linear, bool write, std::uint64_t used) {
    Cpu& cpu = cpus_[actor.cpu];
    cpu.owed.for_each_at(linear, [&](Obligation& obligation) {
        if (obligation.reported || obligation.structure || obligation.coarse ||
            (!obligation.global && obligation.pcid != cpu.control.pcid())) {
            return;
        }
        const Promise* promise = promises_.find(obligation, linear, cpu.since);
        if (promise == nullptr && !is_due(obligation, actor)) {
            return;
        }
        ++totals_.checked;
        const Translation old = at(obligation.old, obligation.first, linear);
        const Translation now = tables_.walk_memory(cpu.control.root(), cpu.control.top_level(), linear);
        const bool elsewhere = !now.present || now.physical != old.physical;
        const bool protects = (cpu.control.cr0 & cr0_write_protect) != 0;
        const bool forbidden = write && old.rights.write && now.present && !now.rights.write && protects;
        if (!elsewhere && !forbidden) {
            return;
        }
        const bool observed = elsewhere ? (used & ~(page_size - 1)) == old.physical : forbidden;
        if (promise != nullptr && (observed || old.rights.user)) {
            obligation.reported = true;
            if (tell(obligation.change, actor.time)) {
                break_promise(*promise, obligation, linear, actor);
            }
            return;
        }
        if (!is_due(obligation, actor)) {
            return;
        }
        obligation.reported = true;
        if (!tell(obligation.change, actor.time)) {
            return;
        }
        if (obligation.kept_pc != 0) {
            sink_.global_kept(actor.cpu, obligation.kept_pc, obligation.change, linear & ~(page_size - 1), 0);
            return;
        }
        unsigned bits = trace::tlb_access_grace;
        bits |= write ? unsigned{trace::tlb_access_write} : 0U;
        bits |= observed ? unsigned{trace::tlb_access_observed} : 0U;
        sink_.stale_use(actor, obligation.change, linear, used, bits);
    });
}

void Tracker::shootdown_begin(std::uint64_t id, std::uint64_t root, std::uint64_t address,
                              std::uint64_t length) {
    if (shootdowns_.size() >= most_shootdowns && !shootdowns_.contains(id)) {
        ++totals_.skipped;
        return;
    }
    shootdowns_.insert_or_assign(id, Shootdown{last_change_, root, address, length});
}

void Tracker::shootdown_end(const Actor& actor, std::uint64_t id, std::uint64_t status) {
    const auto found = shootdowns_.find(id);
    if (found == shootdowns_.end()) {
        return;
    }
    const Shootdown shootdown = found->second;
    shootdowns_.erase(found);
    if (status != 0) {
        return;
    }
    ++totals_.shootdowns;
    judge_holders(
        actor.time,
        [&](const Obligation& obligation) -> std::optional<std::uint64_t> {
            if (obligation.change.number > shootdown.changes ||
                !obligation.overlaps(shootdown.address, shootdown.length) ||
                (shootdown.root != 0 && shootdown.root != obligation.root)) {
                return std::nullopt;
            }
            return std::max(obligation.first, shootdown.address & ~(page_size - 1));
        },
        [&](unsigned holder, const Obligation& obligation, std::uint64_t linear) {
            if (obligation.kept_pc != 0) {
                sink_.global_kept(holder, obligation.kept_pc, obligation.change, linear, id);
            } else {
                sink_.missed(actor, obligation.change, linear, holder, id, obligation.structure, 0);
            }
        });
}

void Tracker::release(const Actor& actor, std::uint64_t physical, std::uint64_t length) {
    judge_holders(
        actor.time,
        [&](const Obligation& obligation) -> std::optional<std::uint64_t> {
            const std::uint64_t begin = obligation.old.physical;
            const std::uint64_t size = obligation.structure ? page_size : size_of(obligation.old.level);
            if (obligation.coarse || begin >= physical + length || physical >= begin + size) {
                return std::nullopt;
            }
            return obligation.structure || physical <= begin ? obligation.first
                                                             : obligation.first + (physical - begin);
        },
        [&](unsigned holder, const Obligation& obligation, std::uint64_t linear) {
            sink_.freed(actor, obligation.change, linear, holder, std::max(obligation.old.physical, physical),
                        obligation.structure, 0);
        });
}

void Tracker::for_each_stale(unsigned cpu, std::uint16_t pcid, std::uint64_t linear,
                             const std::function<void(const Translation&)>& f) {
    Cpu& state = cpus_[cpu];
    const auto context = std::ranges::find(state.contexts, pcid, &Context::pcid);
    // Of an address space that all was forgotten of, only global pages are left: any root has those.
    const std::uint64_t root = context == state.contexts.end() ? state.control.root() : context->root;
    const unsigned top = state.control.top_level();
    const Translation now = tables_.walk_memory(root, top, linear);
    state.owed.for_each_at(linear, [&](const Obligation& obligation) {
        if (!obligation.global && obligation.pcid != pcid) {
            return;
        }
        const Translation old = obligation.structure
                                    ? tables_.walk_memory(obligation.old.physical, obligation.old.level - 1,
                                                          linear, obligation.old.rights)
                                    : at(obligation.old, obligation.first, linear);
        if (!obligation.coarse && gives_more(old, now)) {
            f(old);
        }
    });
}

}  // namespace pv::translation
