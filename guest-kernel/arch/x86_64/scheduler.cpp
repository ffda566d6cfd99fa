// One CPU's scheduler.
// SPDX-License-Identifier: MIT
#include "task/scheduler.hpp"
#include "base/atomic.hpp"

#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/trap.hpp"
#include "arch/x86_64/user_mode.hpp"
#include "arch/x86_64/watchdog.hpp"
#include "base/panic.hpp"
#include "task/park.hpp"
#include "task/thread_life.hpp"

extern "C" void pv_switch(std::uint64_t* save_rsp, std::uint64_t load_rsp);

namespace pv::task {
namespace {

using namespace literals;

/// How often it is looked where a program's thread is (as Linux's CONFIG_TICK_CPU_ACCOUNTING with HZ=100).
constexpr Duration tick = 10_ms;

// At whole ticks since boot: not after what programs do.
Instant next_tick(Instant time) {
    return Instant::since_boot(tick * (time.since_boot().to_nanoseconds() / tick.to_nanoseconds() + 1));
}

}  // namespace

// Interrupts are off, or the answer is of the past.
Scheduler& Scheduler::here() {
    return *arch::this_cpu().scheduler;
}

void Scheduler::idle() {
    {
        // The watchdog expects a timer interrupt even of a CPU that never had anything to do.
        const arch::InterruptsOff off;
        const SpinGuard guard(here().lock_);
        here().arm();
    }
    while (true) {
        arch::disable_interrupts();
        if (here().take_over()) {
            preempt_if_needed(false);
            continue;
        }
        // An interrupt between the two waits until hlt: sti holds interrupts off for one instruction.
        __asm__ volatile("sti\n\thlt" ::: "memory");
    }
}

ControlBlock* Scheduler::current_or_null() {
    return arch::running_thread();
}

std::uint64_t Scheduler::current_stack_guard() {
    const ControlBlock* thread = current_or_null();
    return thread == nullptr || thread->stack.top == 0 ? 0 : thread->stack.guard();
}

void Scheduler::beat() {
    beat_.store(now().since_boot().to_nanoseconds(), std::memory_order_relaxed);
}

// Locks the scheduler that `thread` belongs to: it may go to another one until the lock is held.
Scheduler& Scheduler::lock_of(ControlBlock& thread, bool& interrupts_were_on) {
    while (true) {
        Scheduler* scheduler = thread.scheduler.load(std::memory_order_acquire);
        interrupts_were_on = scheduler->lock_.lock();
        if (thread.scheduler.load(std::memory_order_relaxed) == scheduler) {
            return *scheduler;
        }
        scheduler->lock_.unlock(interrupts_were_on);
    }
}

bool Scheduler::may_be_here(const ControlBlock& thread) const {
    return thread.cpus.test(cpu_.index);
}

void Scheduler::put_back(ControlBlock& thread, bool at_front) {
    thread.state = State::ready;
    if (&thread == idle_) {
        return;
    }
    ready_.put(thread, at_front);
    thread.listed = true;
    if (is_real_time_level(thread.level)) [[unlikely]] {
        real_time_waiting_.fetch_add(1, std::memory_order_relaxed);
    }
    ready_count_.store(ready_count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (!may_be_here(thread)) [[unlikely]] {
        misplaced_.store(misplaced_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
}

void Scheduler::take_out(ControlBlock& thread) {
    ready_.take(thread);
    thread.listed = false;
    if (is_real_time_level(thread.level)) [[unlikely]] {
        real_time_waiting_.fetch_sub(1, std::memory_order_relaxed);
    }
    ready_count_.store(ready_count_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    if (!may_be_here(thread)) [[unlikely]] {
        misplaced_.store(misplaced_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    }
}

// Has this CPU look at its lists: at once when it is another one, after the caller's locks otherwise.
void Scheduler::call_here() {
    if (&cpu_ != &arch::this_cpu()) {
        arch::LocalApic::interrupt(cpu_.apic_id, arch::vector_reschedule);
    } else if (!in_interrupt()) {
        // At the end of an interrupt it is looked at anyway.
        arch::LocalApic::interrupt_self(arch::vector_reschedule);
    }
}

void Scheduler::forget_timer(ControlBlock& thread) {
    if (thread.timed) {
        timers_.erase(timers_.iterator_to(thread));
        thread.timed = false;
    }
}

void Scheduler::make_ready(ControlBlock& thread) {
    forget_timer(thread);
    // Who waited before its turn was over has the rest of it, before its equals: otherwise one that often
    // waits would have as many turns of others between its own as there are others.
    const bool has_rest = thread.turn_left != Duration() && !is_real_time_level(thread.level);
    put_back(thread, has_rest);
    if (!may_be_here(thread)) [[unlikely]] {
        send_away();
        return;
    }
    // Equals give way to what a device or a timer woke, not to what the running one woke itself.
    if (thread.level > running_->level || (has_rest && thread.level == running_->level && in_interrupt())) {
        preempt_.store(true, std::memory_order_relaxed);
        call_here();
        return;
    }
    offer();
    if (&cpu_ == &arch::this_cpu()) {
        arm();
    } else if (thread.level == running_->level) {
        // It takes turns now, and only the CPU itself can set its timer.
        call_here();
    }
}

ControlBlock& Scheduler::pick() {
    const auto may_run = [this](const ControlBlock& thread) { return may_be_here(thread); };
    ControlBlock* found = nullptr;
    if (real_time_rests_) [[unlikely]] {
        found = ready_.find(ReadyLists::levels, level_of(real_time_priority(real_time_max)), may_run);
        if (found == nullptr) {
            found = ready_.find(level_of(real_time_priority(1)), 0, may_run);
        }
    }
    if (found == nullptr) {
        found = ready_.find(ReadyLists::levels, 0, may_run);
    }
    if (found == nullptr) {
        return *idle_;
    }
    take_out(*found);
    return *found;
}

// The most urgent thread above that level that may run on that CPU; any_cpu: that need not stay here.
ControlBlock* Scheduler::first_to_go(unsigned above, unsigned cpu) {
    return ready_.find(ReadyLists::levels, above, [cpu](const ControlBlock& thread) {
        return cpu == any_cpu ? !thread.is_pinned : thread.cpus.test(cpu);
    });
}

// Somebody is ready here and will not run at once. The CPU that does the least urgent work is told, unless
// all do as urgent work. LOST-WAKE-UP RULE: this side enlists the thread, then reads the others' levels; a
// CPU that goes idle sets its level, then reads the others' lists (take_over). With a full fence between the
// two on both sides, at least one of them sees the other.
void Scheduler::offer() {
    const unsigned cpus = arch::cpu_count();
    if (cpus == 1) {
        return;
    }
    if (misplaced_.load(std::memory_order_relaxed) > 0) [[unlikely]] {
        send_away();
    }
    const ControlBlock* thread = first_to_go(0, any_cpu);
    if (thread == nullptr) {
        return;
    }
    std::atomic_thread_fence(std::memory_order_seq_cst);
    Scheduler* best = nullptr;
    unsigned least = thread->level;
    for (unsigned step = 1; step < cpus && least > 0; ++step) {
        Scheduler& other = *arch::cpu((cpu_.index + step) % cpus).scheduler;
        const unsigned level = other.running_level_.load(std::memory_order_relaxed);
        if (level < least && thread->cpus.test(other.cpu_.index) &&
            !other.pull_.load(std::memory_order_relaxed)) {
            least = level;
            best = &other;
        }
    }
    if (best != nullptr && !best->pull_.exchange(true, std::memory_order_seq_cst)) {
        arch::LocalApic::interrupt(best->cpu_.apic_id, arch::vector_reschedule);
    }
}

// The timer for whatever comes first: a sleeper's deadline, the end of the turn while others want one, or the
// watchdog's round.
void Scheduler::arm() {
    Instant next = timers_.empty() ? Instant::max() : timers_.begin()->wake_at;
    if (running_ != idle_ && !ready_[running_->level].empty() && slice_end_ < next) {
        next = slice_end_;
    }
    if (keeps_ && kept_until_ < next) {
        next = kept_until_;
    }
    if (running_ != idle_ && tick_at_ < next) {
        next = tick_at_;
    }
    const Instant round =
        last_beat() + arch::watchdog_round(ready_count_.load(std::memory_order_relaxed) > 0);
    next = round < next ? round : next;
    // One set for earlier finds nothing to do and arms again: cheaper than setting it back each time.
    if (next < armed_for_) {
        armed_for_ = next;
        arch::LocalApic::arm_timer(next);
    }
}

// The current thread has been put where it belongs; another one goes on.
void Scheduler::switch_away() {
    preempt_.store(false, std::memory_order_relaxed);
    ControlBlock& previous = *running_;
    ControlBlock& next = pick();
    const Instant time = now();
    if (is_real_time_level(previous.level)) [[unlikely]] {
        charge_real_time(time);
    }
    previous.ran = previous.ran + (time - switched_at_);
    ++next.turns;
    if (previous.state == State::parked) {
        previous.turn_left = slice_end_ - time;
        trust(previous.waking);
    }
    switched_at_ = time;
    const Duration left = std::exchange(next.turn_left, {});
    slice_end_ = switched_at_ + (left == Duration() ? next.turn : left);
    if (tick_at_ <= time) {
        tick_at_ = next_tick(time);
    }
    greed_is_told_ = false;
    keeps_ = false;
    running_ = &next;
    running_level_.store(next.level, std::memory_order_relaxed);
    next.state = State::running;
    cpu_.running = &next;
    beat();
    arm();
    offer();
    look_for_more_urgent(previous.level);
    if (&next != &previous) {
        ++switches_;
        if (previous.user != nullptr || next.user != nullptr) {
            arch::switch_user(cpu_, previous.user, next.user, next.stack.top);
        }
        pv_switch(&previous.saved_rsp, next.saved_rsp);
    }
}

// Every way out after a switch. The thread that comes back may have moved: it lets go of the lock of the CPU
// it is on now, which the thread before it took. That one may have ended.
void Scheduler::release(bool interrupts_were_on) {
    Scheduler& self = here();
    ControlBlock* dead = std::exchange(self.dead_, nullptr);
    if (dead == nullptr) {
        self.lock_.unlock(interrupts_were_on);
        return;
    }
    // Interrupts stay off until the remains are gone: the heap's stock belongs to this CPU.
    self.lock_.unlock(false);
    bury(*dead);
    arch::restore_interrupts(interrupts_were_on);
}

void Scheduler::enter_thread() {
    release(true);
}

void Scheduler::add(ControlBlock& thread) {
    const arch::InterruptsOff off;
    Scheduler* best = &here();
    if (best->may_keep(thread)) {
        static_cast<void>(best->lock_.lock());
        thread.scheduler.store(best, std::memory_order_relaxed);
        best->keep(thread);
        best->lock_.unlock(false);
        return;
    }
    const unsigned cpus = arch::cpu_count();
    const unsigned first = best->cpu_.index;
    unsigned least = ~0U;
    for (unsigned step = 0; step < cpus; ++step) {
        Scheduler& other = *arch::cpu((first + step) % cpus).scheduler;
        if (!thread.cpus.test(other.cpu_.index)) {
            continue;
        }
        const unsigned load = other.ready_count_.load(std::memory_order_relaxed) +
                              (other.running_level_.load(std::memory_order_relaxed) > 0 ? 1 : 0);
        if (load < least) {
            least = load;
            best = &other;
        }
    }
    static_cast<void>(best->lock_.lock());
    thread.scheduler.store(best, std::memory_order_relaxed);
    best->make_ready(thread);
    best->lock_.unlock(false);
}

void Scheduler::park(Deadline deadline) {
    const bool were_on = arch::disable_interrupts();
    Scheduler& self = here();
    static_cast<void>(self.lock_.lock());
    ControlBlock& thread = *self.running_;
    if (!thread.permit && !deadline.expired()) {
        thread.state = State::parked;
        if (!deadline.is_never()) {
            thread.wake_at = deadline.instant();
            thread.timed = true;
            self.timers_.insert(thread);
        }
        self.switch_away();
    }
    thread.permit = false;
    release(were_on);
}

void Scheduler::unpark(ControlBlock& thread) {
    bool were_on = false;
    Scheduler& scheduler = lock_of(thread, were_on);
    if (thread.state != State::parked) {
        thread.permit = true;
        scheduler.lock_.unlock(were_on);
        return;
    }
    Scheduler& self = here();
    if (!self.may_keep(thread)) {
        scheduler.make_ready(thread);
        scheduler.lock_.unlock(were_on);
        return;
    }
    scheduler.forget_timer(thread);
    thread.state = State::ready;
    if (&scheduler != &self) {
        // As in take_over: it is ready and in nobody's list, and who wants to wake it comes to our lock.
        thread.scheduler.store(&self, std::memory_order_release);
        scheduler.lock_.unlock(false);
        static_cast<void>(self.lock_.lock());
    }
    self.keep(thread);
    self.lock_.unlock(were_on);
}

void Scheduler::kick(ControlBlock& thread) {
    bool were_on = false;
    Scheduler& scheduler = lock_of(thread, were_on);
    if (thread.state == State::running && &scheduler.cpu_ != &arch::this_cpu()) {
        arch::LocalApic::interrupt(scheduler.cpu_.apic_id, arch::vector_reschedule);
    }
    scheduler.lock_.unlock(were_on);
}

void Scheduler::yield() {
    const bool were_on = arch::disable_interrupts();
    Scheduler& self = here();
    if (self.ready_count_.load(std::memory_order_relaxed) == 0) {
        arch::restore_interrupts(were_on);  // nobody takes turns with it here
        return;
    }
    static_cast<void>(self.lock_.lock());
    self.put_back(*self.running_, false);
    self.switch_away();
    release(were_on);
}

void Scheduler::allow(ControlBlock& thread, const arch::CpuSet& cpus) {
    bool were_on = false;
    Scheduler& scheduler = lock_of(thread, were_on);
    const bool was_listed = thread.listed;
    if (was_listed) {
        scheduler.take_out(thread);
    }
    thread.cpus = cpus;
    thread.is_pinned = (cpus & arch::online_cpus()).count() == 1;
    if (was_listed) {
        scheduler.put_back(thread, false);
        scheduler.offer();
    } else if (thread.state == State::running && !scheduler.may_be_here(thread)) {
        scheduler.preempt_.store(true, std::memory_order_relaxed);
        scheduler.call_here();
    }
    scheduler.lock_.unlock(were_on);
}

void Scheduler::end_current() {
    arch::disable_interrupts();
    Scheduler& self = here();
    static_cast<void>(self.lock_.lock());
    self.running_->state = State::ended;
    self.dead_ = self.running_;
    self.switch_away();
    panic("a thread went on after its end");
}

// Whether the running thread has kept a ready one from running for too long: told once a turn. With the lock,
// and without it afterwards.
void Scheduler::watch_turn(const arch::TrapFrame& frame, Instant time) {
    const Duration patience = arch::watchdog_patience();
    const ControlBlock* waiting = first_to_go(0, cpu_.index);
    const bool tell = waiting != nullptr && !is_real_time_level(running_->level) &&
                      !preempt_.load(std::memory_order_relaxed) && !greed_is_told_ &&
                      patience != Duration() && time - switched_at_ >= patience;
    std::array<char, name_max + 1> name{};
    if (tell) {
        greed_is_told_ = true;
        name = waiting->name;
    }
    lock_.unlock(false);
    if (tell) {
        arch::report_greed(frame, name.data(), time - switched_at_);
    }
}

void Scheduler::timer_interrupt(const arch::TrapFrame& frame) {
    Scheduler* self = arch::this_cpu().scheduler;
    if (self == nullptr) {
        return;
    }
    static_cast<void>(self->lock_.lock());
    self->beat();
    self->armed_for_ = Instant::max();
    const Instant time = now();
    self->give_up_late(time);
    while (!self->timers_.empty() && self->timers_.begin()->wake_at <= time) {
        self->make_ready(*self->timers_.begin());
    }
    ControlBlock& running = *self->running_;
    if (time >= self->tick_at_) {
        self->tick_at_ = next_tick(time);
        sample_load(time);
        if (running.user != nullptr) {
            constexpr std::uint64_t ring = 3;
            ++((frame.cs & ring) != 0 ? running.user_ticks : running.system_ticks);
        }
    }
    if (self->real_time_rests_ || is_real_time_level(running.level)) [[unlikely]] {
        self->watch_real_time(time);
    }
    if (time >= self->slice_end_ && &running != self->idle_ && !self->ready_[running.level].empty()) {
        self->preempt_.store(true, std::memory_order_relaxed);
    }
    self->arm();
    self->watch_turn(frame, time);
    arch::watch_neighbour();
}

void Scheduler::preempt_if_needed(bool was_called) {
    const arch::Cpu& cpu = arch::this_cpu();
    Scheduler* self = cpu.scheduler;
    if (self == nullptr || cpu.interrupt_depth > 0 || cpu.spinning_ranks != 0) {
        return;
    }
    if (was_called) {
        self->beat();
        if (self->pull_.load(std::memory_order_relaxed)) {
            self->take_over();
        }
    } else if (!self->preempt_.load(std::memory_order_relaxed)) {
        return;
    }
    static_cast<void>(self->lock_.lock());
    if (!self->preempt_.load(std::memory_order_relaxed)) {
        // A thread made ready by another CPU may have to take turns with this one.
        self->arm();
        self->lock_.unlock(false);
        return;
    }
    // Who is not yet through with its turn has the rest of it next, before its equals.
    self->running_->turn_left = self->slice_end_ - now();
    self->put_back(*self->running_, self->running_->turn_left != Duration());
    self->switch_away();
    release(false);
}

ControlBlock& current() {
    ControlBlock* thread = Scheduler::current_or_null();
    PV_ASSERT(thread != nullptr);
    return *thread;
}

void park(Deadline deadline) {
    PV_ASSERT(may_sleep());
    Scheduler::park(deadline);
}

void unpark(ControlBlock& thread) {
    Scheduler::unpark(thread);
}

std::uint64_t& spinning_ranks() {
    return arch::this_cpu().spinning_ranks;
}

std::uint64_t& sleeping_ranks() {
    ControlBlock* thread = Scheduler::current_or_null();
    return thread != nullptr ? thread->sleeping_ranks : arch::this_cpu().early_sleeping_ranks;
}

bool in_interrupt() {
    return arch::this_cpu().interrupt_depth > 0;
}

bool may_sleep() {
    const arch::InterruptsOff off;
    const arch::Cpu& cpu = arch::this_cpu();
    return cpu.spinning_ranks == 0 && cpu.interrupt_depth == 0;
}

}  // namespace pv::task
