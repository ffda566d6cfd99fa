// Processors: what they translate by, and what their instructions make them forget.
// SPDX-License-Identifier: MIT
#include "translation/tracker.hpp"

#include <algorithm>
#include <utility>

namespace pv::translation {
namespace {

/// The bits of CR4 that translation depends on.
constexpr std::uint64_t watched_cr4 = cr4_pae | cr4_global_pages | cr4_five_levels | cr4_pcid | cr4_smep;

/// Whether something else than register `number` changed: by reset, start-up or system-management mode, which
/// nobody tells of.
bool changed_unseen(const Control& before, const Control& now, unsigned number) {
    return (number != 0 && ((before.cr0 ^ now.cr0) & cr0_paging) != 0) ||
           (number != 3 && before.cr3 != now.cr3) ||
           (number != 4 && ((before.cr4 ^ now.cr4) & watched_cr4) != 0);
}

}  // namespace

Tracker::Tracker(const Memory& memory, std::uint64_t limit, unsigned cpus, Sink& sink, const Limits& limits,
                 std::function<std::uint64_t(unsigned)> instructions, std::shared_ptr<FrameMarks> marks)
    : tables_(memory, marks ? std::move(marks) : std::make_shared<FrameMarks>(limit), limits.tables),
      sink_(sink),
      limits_(limits),
      instructions_(std::move(instructions)),
      cpus_(cpus),
      owed_frames_(tables_.frames().with(mark_owed)) {}

void Tracker::control(const Actor& actor, unsigned number, const Control& now, bool no_flush) {
    Cpu& cpu = cpus_[actor.cpu];
    const Control before = std::exchange(cpu.control, now);
    const bool is_unseen = changed_unseen(before, now, number) || before.is_followed() != now.is_followed();
    const bool keeps = !is_unseen && number == 3 && no_flush && now.has_pcids();
    if (is_unseen) {
        apply(actor, before.translates() && !now.translates() ? Operation::paging_off : Operation::reset, 0,
              0);
    } else if (number == 3 && now.is_followed()) {
        if (!keeps && now.root() == before.root() && now.pcid() == before.pcid()) {
            count_whole(cpu);
        }
        apply(actor, keeps ? Operation::cr3_no_flush : Operation::cr3, 0, now.pcid());
    } else if (number == 4 && now.is_followed()) {
        const std::uint64_t changed = before.cr4 ^ now.cr4;
        if ((changed & cr4_global_pages) != 0) {
            if (!now.has_globals()) {
                count_whole(cpu);
            }
            apply(actor, Operation::global_toggle, 0, 0);
        } else if ((changed & ~now.cr4 & cr4_pcid) != 0) {
            apply(actor, Operation::pcid_off, 0, 0);
        } else if ((changed & cr4_pae) != 0) {
            apply(actor, Operation::pae_toggle, 0, 0);
        } else if ((changed & now.cr4 & cr4_smep) != 0) {
            apply(actor, Operation::smep_on, 0, 0);
        }
    }
    if (!now.is_followed()) {
        cpu.contexts.clear();
        return;
    }
    const auto same = std::ranges::find(cpu.contexts, now.pcid(), &Context::pcid);
    std::uint64_t kept_root = now.root();
    if (same == cpu.contexts.end()) {
        cpu.contexts.push_back({now.pcid(), now.root()});
    } else if (const std::uint64_t old_root = std::exchange(same->root, now.root()); keeps) {
        kept_root = old_root;
    }
    use_root(cpu);
    if (kept_root != now.root()) {
        root_changed(actor, cpu, kept_root);
    }
    if (arms_with_next_tables_ && now.root() != before.root()) {
        arms_with_next_tables_ = false;
        arm(actor, true);
    }
}

void Tracker::count_whole(Cpu& cpu) {
    ++cpu.flushes.whole;
    cpu.flushes.needless += cpu.owed.size() <= Flushes::few ? 1U : 0U;
}

void Tracker::invlpg(const Actor& actor, std::uint64_t linear) {
    ++cpus_[actor.cpu].flushes.pages;
    apply(actor, Operation::invlpg, linear, 0);
}

void Tracker::invpcid(const Actor& actor, unsigned type, std::uint16_t pcid, std::uint64_t linear) {
    constexpr std::array<Operation, 4> types{Operation::invpcid_address, Operation::invpcid_space,
                                             Operation::invpcid_all, Operation::invpcid_all_but_global};
    if (type < types.size()) {
        apply(actor, types[type], linear, pcid);
    }
}

void Tracker::apply(const Actor& actor, Operation operation, std::uint64_t linear, std::uint16_t named) {
    Cpu& cpu = cpus_[actor.cpu];
    const Effect& effect = effect_of(operation);
    const std::uint16_t current = cpu.control.pcid();
    cpu.owed.discharge(effect, linear, current, named);
    if (operation == Operation::cr3) {
        cpu.owed.keep_globals(actor.pc);
    }
    if (effect.one_page) {
        return;
    }
    // Nothing of an address space is cached any more once all of it was forgotten; but the one in use is
    // filled again at once.
    std::erase_if(cpu.contexts, [&](const Context& context) {
        return context.pcid != current &&
               (effect.pages == Spaces::all || (effect.pages == Spaces::named && context.pcid == named));
    });
}

bool Tracker::is_used_root(std::uint64_t root) const {
    return std::ranges::any_of(cpus_, [&](const Cpu& cpu) {
        return std::ranges::find(cpu.contexts, root, &Context::root) != cpu.contexts.end();
    });
}

void Tracker::use_root(Cpu& cpu) {
    const std::uint64_t root = cpu.control.root();
    tables_.keep_root(root, cpu.control.top_level());
    std::erase(recent_roots_, root);
    recent_roots_.push_back(root);
    for (std::size_t i = 0; recent_roots_.size() > limits_.roots && i < recent_roots_.size();) {
        if (is_used_root(recent_roots_[i])) {
            ++i;
            continue;
        }
        tables_.drop_root(recent_roots_[i]);
        recent_roots_.erase(recent_roots_.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

Totals Tracker::totals() const {
    Totals totals = totals_;
    totals.skipped += tables_.skipped();
    return totals;
}

}  // namespace pv::translation
