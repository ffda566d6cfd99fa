// The set of alarms in the order they ring, and the thread that rings.
// SPDX-License-Identifier: MIT
#include "fs/alarm.hpp"

#include <boost/intrusive/set.hpp>

#include "base/atomic.hpp"
#include "task/lock.hpp"
#include "task/thread.hpp"

namespace pv::fs {

struct Alarms {
    struct Earlier {
        bool operator()(const Alarm& a, const Alarm& b) const { return a.moment_ < b.moment_; }
    };

    using Set = boost::intrusive::multiset<Alarm, boost::intrusive::compare<Earlier>,
                                           boost::intrusive::constant_time_size<false>>;

    Set set;
    task::WaitQueue changed;  ///< the thread waits here; never destroyed

    void take_out(Alarm& alarm) {
        if (alarm.is_set_) {
            set.erase(set.iterator_to(alarm));
            alarm.is_set_ = false;
        }
    }

    void put_in(Alarm& alarm, Instant moment) {
        take_out(alarm);
        alarm.moment_ = moment;
        alarm.is_set_ = true;
        set.insert(alarm);
    }

    /// One that is due, with a part of what it belongs to; else `next` is when to look again.
    Alarm* take_due(Ref<const RefCounted>& whole, Instant& next) {
        const Instant time = now();
        while (!set.empty()) {
            Alarm& first = *set.begin();
            if (first.moment_ > time) {
                next = first.moment_;
                return nullptr;
            }
            take_out(first);
            if (first.whole_.try_add_owner()) {
                whole = Ref<const RefCounted>::adopt(&first.whole_);
                return &first;
            }
        }
        next = Instant::max();
        return nullptr;
    }
};

namespace {

constinit task::Guarded<task::OnFirstUse<Alarms>, task::Rank::queue> alarms;
constinit Atomic<std::uint64_t> changes{0};
constinit Atomic<bool> is_started{false};

void serve(void*) {
    while (true) {
        const std::uint64_t seen = changes.load(std::memory_order_seq_cst);
        Instant next;
        Ref<const RefCounted> whole;
        task::WaitQueue* changed = nullptr;
        Alarm* due = alarms.with([&](Alarms& all) {
            changed = &all.changed;
            return all.take_due(whole, next);
        });
        if (due != nullptr) {
            due->ring();
            continue;
        }
        const Deadline deadline =
            next == Instant::max() ? Deadline::never("no alarm is set") : Deadline::at(next);
        static_cast<void>(
            changed->wait(deadline, [&] { return changes.load(std::memory_order_seq_cst) != seen; }));
    }
}

}  // namespace

void Alarm::set(Instant moment) {
    task::WaitQueue& changed = alarms.with([&](Alarms& all) -> task::WaitQueue& {
        all.put_in(*this, moment);
        return all.changed;
    });
    changes.fetch_add(1, std::memory_order_seq_cst);
    changed.wake_all();
}

void Alarm::cancel() {
    alarms.with([&](Alarms& all) { all.take_out(*this); });
}

Outcome<> start_alarms() {
    if (!is_started.exchange(true, std::memory_order_seq_cst) &&
        !task::Thread::create("alarms", serve, nullptr, task::Priority::high)) {
        is_started.store(false, std::memory_order_seq_cst);
        return fail(Errno::enomem);
    }
    return {};
}

}  // namespace pv::fs
