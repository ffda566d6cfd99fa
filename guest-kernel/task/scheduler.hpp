// One CPU's scheduler: priorities, turns among equals, timers, preemption.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include "base/result.hpp"
#include "task/control_block.hpp"
#include "task/spin_lock.hpp"

namespace pv::task {

/// Each CPU has one, found through its Cpu; nothing here is shared between CPUs but by `lock_`, so that a
/// second CPU needs a second Scheduler and a reschedule interrupt, no other structure.
class Scheduler {
  public:
    /// Makes what runs now - the boot stack - this CPU's idle thread. Error: out_of_memory.
    static Result<> start_on_this_cpu();

    /// The idle thread's life. Never returns.
    [[noreturn]] static void idle();

    // For trap handling, interrupts off.
    static void timer_interrupt();
    static void preempt_if_needed();

    /// The lowest address of the running thread's guard page, 0 where there is none. Any context.
    static std::uint64_t current_stack_guard();

    /// The running thread, nullptr before there are any.
    static ControlBlock* current_or_null();

    void add(ControlBlock& thread);
    void park(Deadline deadline);
    void unpark(ControlBlock& thread);
    void yield();
    [[noreturn]] void end_current();
    /// What a new thread does first: the switch to it was made with the lock held.
    void enter_thread();

    [[nodiscard]] std::uint64_t switches() const { return switches_; }

  private:
    struct Earlier {
        bool operator()(const ControlBlock& a, const ControlBlock& b) const { return a.wake_at < b.wake_at; }
    };

    using ReadyList = boost::intrusive::list<
        ControlBlock,
        boost::intrusive::base_hook<boost::intrusive::list_base_hook<boost::intrusive::tag<ReadyTag>, Link>>,
        boost::intrusive::constant_time_size<false>>;
    using TimerSet = boost::intrusive::multiset<
        ControlBlock,
        boost::intrusive::base_hook<boost::intrusive::set_base_hook<boost::intrusive::tag<TimerTag>, Link>>,
        boost::intrusive::compare<Earlier>, boost::intrusive::constant_time_size<false>>;

    static constexpr unsigned levels = 4;  // idle and the three priorities

    // The lock is held in all of these.
    void make_ready(ControlBlock& thread);
    void put_back(ControlBlock& thread, bool at_front);
    ControlBlock& pick();
    void switch_away();
    void arm();
    void release(bool interrupts_were_on);

    SpinLock lock_{Rank::scheduler};
    ControlBlock* running_ = nullptr;
    ControlBlock* idle_ = nullptr;
    ControlBlock* dead_ = nullptr;  ///< ended, but its stack was in use until the switch
    std::array<ReadyList, levels> ready_;
    TimerSet timers_;
    Instant slice_end_;
    Instant armed_for_ = Instant::max();
    bool preempt_ = false;
    std::uint64_t switches_ = 0;
};

}  // namespace pv::task
