// The wait queue's protocol (see the header), over park and unpark.
// SPDX-License-Identifier: MIT
#include "task/wait_queue.hpp"

#include <boost/intrusive/circular_list_algorithms.hpp>

#include "base/atomic.hpp"
#include "base/marker.hpp"
#include "base/panic.hpp"
#include "task/park.hpp"

namespace pv::task {
namespace {

// Circular with the queue's own head as sentinel, so that a queue needs no constructor at run time.
struct WaiterTraits {
    using node = Waiter;
    using node_ptr = Waiter*;
    using const_node_ptr = const Waiter*;

    // The head's changes at no moment but under the lock; only that it is also looked at without makes it
    // atomic.
    static node_ptr get_next(const_node_ptr n) {
        return AtomicRef(const_cast<node_ptr>(n)->next).load(std::memory_order_relaxed);
    }

    // One instruction that reads and writes, as has_waiters needs it of the head.
    static void set_next(node_ptr n, node_ptr next) {
        AtomicRef(n->next).exchange(next, std::memory_order_acq_rel);
    }

    static node_ptr get_previous(const_node_ptr n) { return n->previous; }

    static void set_previous(node_ptr n, node_ptr previous) { n->previous = previous; }
};

using Algorithms = boost::intrusive::circular_list_algorithms<WaiterTraits>;

// Whether there is anybody to wake, for a waker that has changed what waiters look at: without the lock, as
// most often there is nobody. RULE: a waiter lists itself, then looks; a waker changes, then looks at the
// list. Both reach the head's word by instructions that read and write: of two, the second one's thread sees
// what the first one's did before. So a waiter that is not seen here sees the change.
bool has_waiters(Waiter& head) {
    return AtomicRef(head.next).fetch_add(0, std::memory_order_acq_rel) != &head;
}

}  // namespace

WaitQueue::~WaitQueue() {
    SpinGuard guard(lock_);
    PV_ASSERT(WaiterTraits::get_next(&head_) == &head_);
}

void WaitQueue::append(Waiter& waiter) {
    Algorithms::link_before(&head_, &waiter);
    waiter.linked = true;
    waiter.woken = false;
}

void WaitQueue::unlink(Waiter& waiter) {
    Algorithms::unlink(&waiter);
    waiter.linked = false;
}

Result<> WaitQueue::sleep(Deadline deadline, FunctionRef<bool()> predicate) {
    PV_ASSERT(may_sleep());
    const std::uint64_t id = marker::next_wait();
    marker::wait_begin(id, deadline.is_never() ? marker::WaitKind::idle : marker::WaitKind::queue,
                       deadline.remaining(), reinterpret_cast<std::uintptr_t>(this));
    Waiter waiter;
    waiter.thread = &current();
    bool satisfied = false;
    while (true) {
        {
            SpinGuard guard(lock_);
            if (!waiter.linked) {
                append(waiter);
            }
        }
        // On the list now: whoever makes the predicate true from here on finds us and leaves a permit.
        satisfied = predicate();
        if (satisfied || deadline.expired()) {
            break;
        }
        park(deadline);
    }
    bool pass_on = false;
    {
        SpinGuard guard(lock_);
        if (waiter.linked) {
            unlink(waiter);
        } else {
            pass_on = waiter.woken;
        }
    }
    if (pass_on) {
        // Picked since we last enlisted, and off: empty-handed, or with what we had before. That wake-up is
        // another's.
        wake_one();
    }
    marker::wait_end(id, satisfied ? marker::WaitResult::satisfied : marker::WaitResult::timed_out);
    if (!satisfied) {
        return fail(Error::timed_out);
    }
    return {};
}

void WaitQueue::wake_one() {
    if (!has_waiters(head_)) {
        return;
    }
    SpinGuard guard(lock_);
    if (WaiterTraits::get_next(&head_) != &head_) {
        Waiter& waiter = *WaiterTraits::get_next(&head_);
        unlink(waiter);
        waiter.woken = true;
        // Under the lock: the waiter cannot leave its stack frame before it has taken the lock itself.
        unpark(*waiter.thread);
    }
}

void WaitQueue::wake_all() {
    if (!has_waiters(head_)) {
        return;
    }
    SpinGuard guard(lock_);
    while (WaiterTraits::get_next(&head_) != &head_) {
        Waiter& waiter = *WaiterTraits::get_next(&head_);
        unlink(waiter);
        waiter.woken = true;
        unpark(*waiter.thread);
    }
}

}  // namespace pv::task
