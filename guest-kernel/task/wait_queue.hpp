// Where threads sleep until something they wait for holds, or their deadline passes. No wake-up is lost.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/deadline.hpp"
#include "base/function_ref.hpp"
#include "base/result.hpp"
#include "task/spin_lock.hpp"

namespace pv::task {

struct ControlBlock;

/// One sleeping thread, on its own stack; all fields guarded by the queue's lock.
struct Waiter {
    Waiter* next = nullptr;
    Waiter* previous = nullptr;
    ControlBlock* thread = nullptr;
    bool linked = false;  ///< on the queue's list
    bool woken = false;   ///< taken off it by a waker
};

/// PROTOCOL. A waiter puts itself on the list, then looks at the predicate, then parks; a waker makes the
/// predicate true, then takes waiters off the list and unparks them. Whichever comes second sees the other,
/// and a permit given before parking is kept, so no order loses a wake-up (tests/unit/kernel/model tries
/// every order). A waiter that is picked by wake_one while it leaves, with what it came for or by its
/// deadline, passes the wake-up on.
class WaitQueue {
  public:
    constexpr WaitQueue() = default;

    WaitQueue(const WaitQueue&) = delete;
    WaitQueue& operator=(const WaitQueue&) = delete;

    /// Nobody may wait here any more.
    ~WaitQueue();

    /// Sleeps until `predicate()` is true. It is called on the waiting thread without any lock of the queue;
    /// it may take spinlocks, must not sleep, and reads what wakers change through atomics or a lock.
    /// Threads only, no spinlock held. Error: timed_out, with `predicate` false when last looked at, after
    /// the deadline. Emits wait_begin and wait_end when it really sleeps.
    Result<> wait(Deadline deadline, FunctionRef<bool()> predicate) {
        return predicate() ? Result<>() : sleep(deadline, predicate);
    }

    /// The same for one who has just seen that it is false.
    Result<> sleep(Deadline deadline, FunctionRef<bool()> predicate);

    /// Wakes the thread that has waited longest. Any context but NMI; the caller made the predicate true
    /// first.
    void wake_one();
    /// Wakes all who wait now.
    void wake_all();

  private:
    void append(Waiter& waiter);
    void unlink(Waiter& waiter);

    SpinLock lock_{Rank::wait_queue};
    Waiter head_{&head_, &head_};
};

}  // namespace pv::task
