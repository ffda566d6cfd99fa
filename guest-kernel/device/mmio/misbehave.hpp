// A poll that does not keep its deadline, for the misbehaving kernel.
// SPDX-License-Identifier: MIT
#pragma once

#include "arch/processor.hpp"
#include "base/marker.hpp"
#include "base/time.hpp"
#include "device/mmio/window.hpp"

namespace pv::mmio {

/// Breaks mmio-poll-unbounded on purpose: states a deadline of 200 ms, and reads on for more than a second.
template <class T, Access access>
void poll_for_ever(const Window& window, Register<T, access> where) {
    constexpr Duration stated = Duration::milliseconds(200);
    constexpr Duration taken = Duration::milliseconds(1300);
    const std::uint64_t wait = marker::next_wait();
    marker::wait_begin(wait, marker::WaitKind::device_register, stated,
                       (window.physical() + where.offset).value());
    const Instant end = now() + taken;
    Instant next;
    while (now() < end) {
        if (now() >= next) {
            (void)window.read(where);
            next = now() + Duration::milliseconds(1);
        }
        arch::relax();
    }
    marker::wait_end(wait, marker::WaitResult::timed_out);
}

}  // namespace pv::mmio
