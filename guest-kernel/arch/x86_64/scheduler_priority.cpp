// Threads' priorities as they change, and how real-time threads leave something to others.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "task/scheduler.hpp"

namespace pv::task {

void Scheduler::set_priority(ControlBlock& thread, Priority priority, Duration turn) {
    bool were_on = false;
    Scheduler& scheduler = lock_of(thread, were_on);
    const unsigned before = thread.level;
    const bool was_listed = thread.listed;
    if (was_listed) {
        scheduler.take_out(thread);
    }
    thread.level = level_of(priority);
    thread.turn = turn;
    thread.turn_left = {};
    if (was_listed) {
        scheduler.put_back(thread, false);
        if (thread.level > scheduler.running_->level) {
            scheduler.preempt_.store(true, std::memory_order_relaxed);
            scheduler.call_here();
        } else {
            scheduler.offer();
        }
    } else if (scheduler.running_ == &thread) {
        scheduler.running_level_.store(thread.level, std::memory_order_relaxed);
        if (thread.level != before) {
            scheduler.slice_end_ = now() + turn;
        }
        if (scheduler.ready_.below(ReadyLists::levels) > thread.level) {
            scheduler.preempt_.store(true, std::memory_order_relaxed);
            scheduler.call_here();
        }
        scheduler.look_for_more_urgent(before);
    }
    scheduler.lock_.unlock(were_on);
}

// The running thread, a real-time one, has run until now.
void Scheduler::charge_real_time(Instant time) {
    real_time_used_ = real_time_used_ + (time - std::max(switched_at_, real_time_charged_until_));
    real_time_charged_until_ = time;
}

// At a timer interrupt while such a thread runs, or while they rest.
void Scheduler::watch_real_time(Instant time) {
    if (time >= real_time_period_ends_) {
        real_time_period_ends_ = time + real_time_period;
        real_time_charged_until_ = time;
        real_time_used_ = {};
        if (std::exchange(real_time_rests_, false)) {
            preempt_.store(true, std::memory_order_relaxed);
        }
        return;
    }
    if (!is_real_time_level(running_->level)) {
        return;
    }
    charge_real_time(time);
    if (real_time_used_ >= real_time_share && ready_.below(level_of(real_time_priority(1))) > 0) {
        real_time_rests_ = true;
        preempt_.store(true, std::memory_order_relaxed);
    }
}

}  // namespace pv::task
