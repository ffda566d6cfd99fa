// What a misbehaving kernel does before a request to any disk; nothing in every other build.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/deadline.hpp"
#include "base/marker.hpp"
#include "base/time.hpp"
#include "device/dma/mapping.hpp"
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

/// dma-cpu-race, dma-cpu-race-write: touches the buffer of a command that the device has now.
inline void misbehave_with_buffer(dma::Mapping& data) {
    using misbehave::Rule;
    if (!data) {
        return;
    }
    volatile std::byte& first = data.owned_bytes().front();
    if (misbehave::take(Rule::dma_cpu_race)) {
        (void)std::byte{first};
    }
    if (misbehave::take(Rule::dma_cpu_race_write)) {
        first = std::byte{0xa5};
    }
}

/// dma-cpu-race-abort: the buffer of a command that the device was asked to abort serves something else.
inline void misbehave_with_aborted(dma::Mapping& data) {
    if (data && misbehave::take(misbehave::Rule::dma_cpu_race_abort)) {
        volatile std::byte& first = data.owned_bytes().front();
        first = std::byte{0xa5};
    }
}

}  // namespace pv::block
