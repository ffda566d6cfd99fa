// How a device, or another thread, tells the network's thread that there is something to do.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "task/wait_queue.hpp"

namespace pv::net {

class Waker {
  public:
    /// Any context but NMI.
    void wake() {
        if (!raised_.exchange(true, std::memory_order_acq_rel)) {
            sleeper_.wake_one();
        }
    }

    /// Sleeps until somebody wakes, or has since the last call, or the deadline passes. One thread only.
    void sleep(Deadline deadline) {
        (void)sleeper_.wait(deadline, [&] { return raised_.load(std::memory_order_acquire); });
        raised_.store(false, std::memory_order_release);
    }

  private:
    Atomic<bool> raised_{false};
    task::WaitQueue sleeper_;
};

}  // namespace pv::net
