// What a misbehaving kernel does before a request to any disk; nothing in every other build.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/deadline.hpp"
#include "base/marker.hpp"
#include "base/time.hpp"
#include "misbehave/misbehave.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::block {

/// cmd-recovery, wait-unbounded: states a deadline of 200 ms, and goes on for more than a second.
inline void misbehave_with_time(marker::Device device) {
    using misbehave::Rule;
    constexpr Duration stated = Duration::milliseconds(200);
    constexpr Duration taken = Duration::milliseconds(1300);
    if (misbehave::take(Rule::cmd_recovery)) {
        const std::uint64_t recovery = marker::next_recovery();
        marker::recovery_begin(device, recovery, marker::Reason::overdue);
        marker::recovery_step(device, recovery, marker::RecoveryStep::wait, stated, 0);
        task::sleep(taken);
        marker::recovery_end(device, recovery, true);
    }
    if (misbehave::take(Rule::wait_unbounded)) {
        // The mistake that is made: each wait inside has its deadline, the whole has none.
        const Deadline end = Deadline::after(taken);
        task::WaitQueue queue;
        const std::uint64_t wait = marker::next_wait();
        marker::wait_begin(wait, marker::WaitKind::queue, stated, reinterpret_cast<std::uintptr_t>(&queue));
        while (!end.expired()) {
            (void)queue.wait(Deadline::after(Duration::milliseconds(50)), [] { return false; });
        }
        marker::wait_end(wait, marker::WaitResult::timed_out);
    }
}

}  // namespace pv::block
