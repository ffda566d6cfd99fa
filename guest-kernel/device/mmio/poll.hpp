// Waiting for a register to change: always with a deadline, always with the markers that say so.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/deadline.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "device/mmio/window.hpp"
#include "task/thread.hpp"

namespace pv::mmio {

/// Reads `where` until `satisfied(value)`; sleeps between reads, shortly at first, so that a device that is
/// slow costs no processor. Threads only. Returns the value. Error: timed_out, with a last look after the
/// deadline. Emits wait_begin and wait_end (kind register) when the first look does not settle it.
template <class T, Access access, class Predicate>
[[nodiscard]] Result<T> poll(const Window& window, Register<T, access> where, Deadline deadline,
                             Predicate&& satisfied) {
    T value = window.read(where);
    if (satisfied(value)) {
        return value;
    }
    const std::uint64_t wait = marker::next_wait();
    marker::wait_begin(wait, marker::WaitKind::device_register, deadline.remaining(),
                       (window.physical() + where.offset).value());
    Duration pause = Duration::microseconds(20);
    const Duration longest = Duration::milliseconds(5);
    while (true) {
        const bool last = deadline.expired();
        value = window.read(where);
        if (satisfied(value) || last) {
            break;
        }
        const Duration left = deadline.remaining();
        task::sleep(pause < left ? pause : left);
        pause = pause * 2 < longest ? pause * 2 : longest;
    }
    const bool good = satisfied(value);
    marker::wait_end(wait, good ? marker::WaitResult::satisfied : marker::WaitResult::timed_out);
    if (!good) {
        return fail(Error::timed_out);
    }
    return value;
}

}  // namespace pv::mmio
