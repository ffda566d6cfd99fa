// What a wait queue stands on: a thread stops until it holds a permit. Kernel: scheduler. Hosted: a condition
// variable.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/deadline.hpp"

namespace pv::task {

struct ControlBlock;

/// The running thread. Never null once threads exist.
[[nodiscard]] ControlBlock& current();

/// Returns when the thread's permit is there, which it takes, or when the deadline has passed; at times for
/// neither reason. One permit at most is kept. Threads only, no spinlock held.
void park(Deadline deadline);

/// Gives the thread its permit. Any context but NMI. The caller keeps `thread` alive.
void unpark(ControlBlock& thread);

}  // namespace pv::task
