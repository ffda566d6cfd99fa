// Waiting on behalf of a program: until something holds, a deadline passes, or a signal comes.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/deadline.hpp"
#include "base/errno.hpp"
#include "base/function_ref.hpp"
#include "task/lock.hpp"
#include "task/wait_queue.hpp"

namespace pv::fs {

/// Whether the running thread has a signal to take, so that a wait must end. Any thread, any context that may
/// take spinlocks; must not sleep. Whoever sends a signal makes it true first and unparks the thread then.
using InterruptionCheck = bool (*)();

/// Set once, before there is a process; until then nothing interrupts.
void set_interruption_check(InterruptionCheck check);
[[nodiscard]] bool is_interrupted();

/// The same for what only the end of its program cuts short: the running thread will never see user mode
/// again.
void set_killed_check(InterruptionCheck check);
[[nodiscard]] bool is_killed();

/// As WaitQueue::wait. Errors: eintr (a signal came first), etimedout (the deadline passed).
[[nodiscard]] Outcome<> wait(task::WaitQueue& queue, Deadline deadline, FunctionRef<bool()> predicate);

/// The same for a call whose file has a limit of time of its own (SO_RCVTIMEO): when that has passed, it
/// answers as one that was not to wait at all. Errors: eintr, eagain.
[[nodiscard]] Outcome<> wait_or_again(task::WaitQueue& queue, Deadline deadline,
                                      FunctionRef<bool()> predicate);

/// The same without a deadline, for what may last as long as somebody else likes; a signal ends it. Error:
/// eintr.
[[nodiscard]] Outcome<> wait(task::WaitQueue& queue, FunctionRef<bool()> predicate);

/// Holds a lock of files for as long as it lives. Such locks are held for one operation, never while a
/// program is waited for, so taking one has no deadline.
class MutexGuard {
  public:
    explicit MutexGuard(task::Mutex& mutex);
    MutexGuard(const MutexGuard&) = delete;
    MutexGuard& operator=(const MutexGuard&) = delete;
    ~MutexGuard();

    /// For a wait in the middle.
    void unlock();
    void lock();

  private:
    task::Mutex& mutex_;
    bool held_ = false;
};

}  // namespace pv::fs
