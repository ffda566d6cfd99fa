// Waits of programs, over wait queues.
// SPDX-License-Identifier: MIT
#include "fs/wait.hpp"

#include "base/atomic.hpp"

namespace pv::fs {
namespace {

constinit Atomic<InterruptionCheck> interruption_check{nullptr};
constinit Atomic<InterruptionCheck> killed_check{nullptr};

}  // namespace

void set_interruption_check(InterruptionCheck check) {
    interruption_check.store(check, std::memory_order_release);
}

bool is_interrupted() {
    const InterruptionCheck check = interruption_check.load(std::memory_order_acquire);
    return check != nullptr && check();
}

void set_killed_check(InterruptionCheck check) {
    killed_check.store(check, std::memory_order_release);
}

bool is_killed() {
    const InterruptionCheck check = killed_check.load(std::memory_order_acquire);
    return check != nullptr && check();
}

Outcome<> wait(task::WaitQueue& queue, Deadline deadline, FunctionRef<bool()> predicate) {
    bool holds = false;
    // Mostly the caller has just looked: the first look is the one on the queue's list.
    const Result<> waited = queue.sleep(deadline, [&] {
        holds = predicate();
        return holds || is_interrupted();
    });
    if (holds) {
        return {};
    }
    return fail(waited ? Errno::eintr : Errno::etimedout);
}

Outcome<> wait_or_again(task::WaitQueue& queue, Deadline deadline, FunctionRef<bool()> predicate) {
    const Outcome<> waited = wait(queue, deadline, predicate);
    if (!waited && waited.error() == Errno::etimedout) {
        return fail(Errno::eagain);
    }
    return waited;
}

Outcome<> wait(task::WaitQueue& queue, FunctionRef<bool()> predicate) {
    return wait(queue, Deadline::never("a program waits for another; a signal ends it"), predicate);
}

MutexGuard::MutexGuard(task::Mutex& mutex) : mutex_(mutex) {
    lock();
}

MutexGuard::~MutexGuard() {
    if (held_) {
        unlock();
    }
}

void MutexGuard::lock() {
    // A wait without end cannot time out.
    held_ = mutex_.lock(Deadline::never("a lock of files is held for one operation")).has_value();
}

void MutexGuard::unlock() {
    held_ = false;
    mutex_.unlock();
}

}  // namespace pv::fs
