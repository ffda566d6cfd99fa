// One CPU's scheduler: priorities, turns among equals, timers, preemption.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <boost/intrusive/set.hpp>

#include "arch/x86_64/stack.hpp"
#include "base/atomic.hpp"
#include "base/cpu_time.hpp"
#include "base/result.hpp"
#include "task/control_block.hpp"
#include "task/load_average.hpp"
#include "task/ready_lists.hpp"
#include "task/spin_lock.hpp"

namespace pv::arch {
struct Cpu;
struct TrapFrame;
}  // namespace pv::arch

namespace pv::task {

/// Each CPU has one, found through its Cpu. A thread belongs to one scheduler at a time: its state, its timer
/// and its place in the lists are guarded by that one's lock. Another CPU wakes a thread by putting it into
/// the list of its scheduler and sending the CPU an interrupt, or into its own, where the waker is expected
/// to wait next (keep); a CPU with nothing as urgent to do takes ready threads over from others (take_over);
/// one that may no longer run where it is waits there until a CPU of its own fetches it (send_away). Two
/// schedulers' locks are never held at once.
class Scheduler {
  public:
    /// The scheduler of a CPU, with its idle thread, which is what will run there when it starts; `stack` is
    /// the one that runs on, where that is known. The caller's until it starts. Error: out_of_memory.
    [[nodiscard]] static Result<Scheduler*> create(arch::Cpu& cpu, arch::Stack stack = {});
    /// One that never started, or nullptr.
    static void destroy(Scheduler* scheduler);
    /// From here on the running CPU, the one it was made for, has it.
    void start();

    /// The idle thread's life. Never returns.
    [[noreturn]] static void idle();

    // For trap handling, interrupts off.
    /// `frame`: what it interrupted.
    static void timer_interrupt(const arch::TrapFrame& frame);
    /// `was_called`: this is the reschedule interrupt.
    static void preempt_if_needed(bool was_called);

    /// The lowest address of the running thread's guard page, 0 where there is none. Any context.
    static std::uint64_t current_stack_guard();

    /// The running thread, nullptr before there are any. Any context.
    static ControlBlock* current_or_null();

    /// A new thread, on the CPU with the least to do of those it may run on.
    static void add(ControlBlock& thread);
    static void park(Deadline deadline);
    static void unpark(ControlBlock& thread);
    /// Interrupts the CPU the thread runs on, if it is another one: it passes through the kernel.
    static void kick(ControlBlock& thread);
    static void yield();
    /// Where a thread may run from now on; at least one of `cpus` exists. One that runs where it may not goes
    /// at its next interrupt, which is on its way when this returns.
    static void allow(ControlBlock& thread, const arch::CpuSet& cpus);
    /// What it may run before from now on, and how long its turns are from its next one on: among equals,
    /// shares of a processor are as the turns. Duration::max(): it goes on until it waits.
    static void set_priority(ControlBlock& thread, Priority priority, Duration turn);
    [[noreturn]] static void end_current();
    /// What a new thread does first: the switch to it was made with the lock held.
    static void enter_thread();

    [[nodiscard]] std::uint64_t switches() const { return switches_; }

    /// What a thread has had of the processors, its present turn included.
    struct Account {
        bool is_runnable = false;  ///< it runs, or waits for a processor only
        CpuTime ran;
        std::uint64_t turns = 0;
    };

    /// Any context that may take spinlocks of Rank::scheduler.
    [[nodiscard]] static Account account(ControlBlock& thread);

    /// Of all CPUs. Any context.
    [[nodiscard]] static const LoadAverage& load_average();

    /// How long this CPU had nothing to do.
    [[nodiscard]] Duration idle_time();

    /// When this CPU last took a timer or reschedule interrupt or switched threads, for the watchdog of
    /// another.
    [[nodiscard]] Instant last_beat() const {
        return Instant::since_boot(Duration::nanoseconds(beat_.load(std::memory_order_relaxed)));
    }

  private:
    explicit Scheduler(arch::Cpu& cpu) : cpu_(cpu) {}

    struct Earlier {
        bool operator()(const ControlBlock& a, const ControlBlock& b) const { return a.wake_at < b.wake_at; }
    };

    using TimerSet = boost::intrusive::multiset<
        ControlBlock,
        boost::intrusive::base_hook<boost::intrusive::set_base_hook<boost::intrusive::tag<TimerTag>, Link>>,
        boost::intrusive::compare<Earlier>, boost::intrusive::constant_time_size<false>>;

    static Scheduler& here();
    static Scheduler& lock_of(ControlBlock& thread, bool& interrupts_were_on);
    static void release(bool interrupts_were_on);

    // The lock is held in all of these.
    void make_ready(ControlBlock& thread);
    void forget_timer(ControlBlock& thread);
    void put_back(ControlBlock& thread, bool at_front);
    void take_out(ControlBlock& thread);
    ControlBlock& pick();
    ControlBlock* first_to_go(unsigned above, unsigned cpu);
    void switch_away();
    void arm();
    static void sample_load(Instant time);
    void offer();
    void keep(ControlBlock& thread);
    void give_up_late(Instant time);
    void trust(ControlBlock::Waking& waking) const;
    void call_here();
    void look_for_more_urgent(unsigned since);
    void charge_real_time(Instant time);
    void watch_real_time(Instant time);

    [[nodiscard]] bool may_keep(const ControlBlock& thread) const;
    bool take_over();
    bool take_misplaced();
    void send_away();
    [[nodiscard]] bool may_be_here(const ControlBlock& thread) const;
    void beat();
    void watch_turn(const arch::TrapFrame& frame, Instant time);

    arch::Cpu& cpu_;
    SpinLock lock_{Rank::scheduler};
    ControlBlock* running_ = nullptr;
    ControlBlock* idle_ = nullptr;
    ControlBlock* dead_ = nullptr;  ///< ended, but its stack was in use until the switch
    ReadyLists ready_;
    TimerSet timers_;
    Instant slice_end_;
    Instant tick_at_;             ///< when to look next where a program's thread is, user mode or the kernel
    Instant switched_at_;         ///< when the running thread began
    bool keeps_ = false;          ///< a ready thread, for when the running one, which woke it, waits
    Instant kept_until_;          ///< then others are offered it
    bool greed_is_told_ = false;  ///< that it keeps others waiting too long
    bool real_time_rests_ = false;  ///< until its period ends others come first
    Instant real_time_period_ends_;
    Instant real_time_charged_until_;
    Duration real_time_used_;  ///< in this period
    Instant armed_for_ = Instant::max();
    std::uint64_t switches_ = 0;

    // Read by other CPUs without the lock, as hints; what they lead to is looked at again under it.
    Atomic<unsigned> running_level_{0};
    Atomic<unsigned> ready_count_{0};
    Atomic<unsigned> misplaced_{0};  ///< of those, how many may not run here
    Atomic<bool> preempt_{false};    ///< another thread should run here
    Atomic<bool> pull_{false};       ///< told that another CPU has a thread to spare
    Atomic<std::uint64_t> beat_{0};  ///< nanoseconds since boot

    /// Real-time threads that are ready on any CPU and do not run: a hint as those above.
    static inline constinit Atomic<unsigned> real_time_waiting_{0};
};

}  // namespace pv::task
