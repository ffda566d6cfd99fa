// Promises that a profile tells of: taken down when they are given, and held against a processor where it
// runs a program, or uses an address, with a translation that it promised to forget.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <utility>
#include <vector>

#include "translation/tracker.hpp"

namespace pv::translation {

// What nobody can reach by an old translation may serve anything: what was promised of it is kept for
// nothing.
void Tracker::make_room_for_frames() {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> reached;
    for (Cpu& cpu : cpus_) {
        cpu.owed.for_each([&](const Obligation& obligation) {
            if (!obligation.coarse) {
                const std::uint64_t size = obligation.structure ? page_size : size_of(obligation.old.level);
                reached.emplace_back(obligation.old.physical, obligation.old.physical + (size - 1));
            }
        });
    }
    promises_.forget_frames_but(std::move(reached));
}

void Tracker::promise_release(const Actor& actor, std::uint64_t physical, std::uint64_t length) {
    const Promise promise{Promise::Kind::released, actor.cpu, actor.pc, last_change_};
    const std::uint64_t end = physical + length;
    for (std::uint64_t frame = owed_frames_.first_in(physical, length); frame != FrameSet::none;
         frame = owed_frames_.first_in(physical, end - physical)) {
        owed_frames_.erase(frame);
        ++totals_.frames;
        physical = frame + page_size;
        if (std::ranges::all_of(cpus_, [](const Cpu& cpu) { return cpu.owed.size() == 0; })) {
            continue;
        }
        if (!promises_.release(frame, promise)) {
            if (promises_.may_make_room()) {
                make_room_for_frames();
            }
            totals_.skipped += promises_.release(frame, promise) ? 0U : 1U;
        }
    }
}

void Tracker::promise_shootdown(const Actor& actor, std::uint64_t changes, std::uint64_t root,
                                std::uint64_t address, std::uint64_t length) {
    ++totals_.promised;
    promises_.shootdown({Promise::Kind::forgotten, actor.cpu, actor.pc, changes}, {root, address, length});
}

void Tracker::promise_kernel_shootdown(const Actor& actor, std::uint64_t changes, std::uint64_t address,
                                       std::uint64_t length) {
    ++totals_.promised;
    promises_.shootdown({Promise::Kind::forgotten, actor.cpu, actor.pc, changes}, {0, address, length});
}

void Tracker::run_program(const Actor& actor) {
    Cpu& cpu = cpus_[actor.cpu];
    cpu.since = std::min(cpu.since, last_change_);
    bool said = false;
    cpu.owed.for_each([&](Obligation& obligation) {
        if (obligation.reported || !obligation.old.rights.user ||
            (!obligation.global && obligation.pcid != cpu.control.pcid())) {
            return;
        }
        ++totals_.held;
        std::uint64_t linear = 0;
        const Promise* promise = promises_.find_any(obligation, linear, cpu.since);
        if (promise == nullptr || !is_stale(cpu, obligation, linear)) {
            return;
        }
        obligation.reported = true;
        if (said || !tell(obligation.change, actor.time)) {
            return;
        }
        said = true;
        break_promise(*promise, obligation, linear, actor);
    });
}

void Tracker::break_promise(const Promise& promise, const Obligation& obligation, std::uint64_t linear,
                            const Actor& holder) {
    const Actor by{promise.cpu, promise.pc, holder.time, 0};
    if (promise.kind == Promise::Kind::forgotten) {
        sink_.missed(by, obligation.change, linear, holder.cpu, 0, obligation.structure, holder.pc);
        return;
    }
    const std::uint64_t offset = obligation.structure ? 0 : (linear - obligation.first) & ~(page_size - 1);
    sink_.freed(by, obligation.change, linear, holder.cpu, obligation.old.physical + offset,
                obligation.structure, holder.pc);
}

}  // namespace pv::translation
