// One CPU's scheduler.
// SPDX-License-Identifier: MIT
#include "task/scheduler.hpp"

#include <memory>
#include <new>

#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/trap.hpp"
#include "base/panic.hpp"
#include "task/park.hpp"
#include "task/thread_life.hpp"

extern "C" void pv_switch(std::uint64_t* save_rsp, std::uint64_t load_rsp);

namespace pv::task {
namespace {

using namespace literals;

constexpr Duration slice = 10_ms;

}  // namespace

Result<> Scheduler::start_on_this_cpu() {
    auto* scheduler = new (std::nothrow) Scheduler;
    auto* idle = new (std::nothrow) ControlBlock;
    if (scheduler == nullptr || idle == nullptr) {
        delete scheduler;
        delete idle;
        return fail(Error::out_of_memory);
    }
    set_name(*idle, "idle");
    idle->state = State::running;
    idle->scheduler = scheduler;
    scheduler->idle_ = idle;
    scheduler->running_ = idle;
    arch::this_cpu().scheduler = scheduler;
    return {};
}

void Scheduler::idle() {
    while (true) {
        // An interrupt between the two waits until hlt: sti holds interrupts off for one instruction.
        __asm__ volatile("sti\n\thlt" ::: "memory");
    }
}

ControlBlock* Scheduler::current_or_null() {
    const Scheduler* scheduler = arch::this_cpu().scheduler;
    return scheduler == nullptr ? nullptr : scheduler->running_;
}

std::uint64_t Scheduler::current_stack_guard() {
    const ControlBlock* thread = current_or_null();
    return thread == nullptr || thread->stack.top == 0 ? 0 : thread->stack.guard();
}

void Scheduler::put_back(ControlBlock& thread, bool at_front) {
    thread.state = State::ready;
    if (&thread == idle_) {
        return;
    }
    ReadyList& list = ready_[thread.level];
    if (at_front) {
        list.push_front(thread);
    } else {
        list.push_back(thread);
    }
}

void Scheduler::make_ready(ControlBlock& thread) {
    if (thread.timed) {
        timers_.erase(timers_.iterator_to(thread));
        thread.timed = false;
    }
    put_back(thread, false);
    if (thread.level > running_->level) {
        preempt_ = true;
    } else {
        arm();
    }
}

ControlBlock& Scheduler::pick() {
    for (unsigned level = levels; level-- > 0;) {
        if (!ready_[level].empty()) {
            ControlBlock& next = ready_[level].front();
            ready_[level].pop_front();
            return next;
        }
    }
    return *idle_;
}

// The timer for whatever comes first: a sleeper's deadline, or the end of the turn while others want one.
void Scheduler::arm() {
    Instant next = timers_.empty() ? Instant::max() : timers_.begin()->wake_at;
    if (running_ != idle_ && !ready_[running_->level].empty() && slice_end_ < next) {
        next = slice_end_;
    }
    // One set for earlier finds nothing to do and arms again: cheaper than setting it back each time.
    if (next < armed_for_) {
        armed_for_ = next;
        arch::LocalApic::arm_timer(next);
    }
}

// The current thread has been put where it belongs; another one goes on.
void Scheduler::switch_away() {
    preempt_ = false;
    ControlBlock& previous = *running_;
    ControlBlock& next = pick();
    slice_end_ = now() + slice;
    running_ = &next;
    next.state = State::running;
    arm();
    if (&next != &previous) {
        ++switches_;
        pv_switch(&previous.saved_rsp, next.saved_rsp);
    }
}

// Every way out after a switch: the thread before this one may have ended.
void Scheduler::release(bool interrupts_were_on) {
    ControlBlock* dead = std::exchange(dead_, nullptr);
    if (dead == nullptr) {
        lock_.unlock(interrupts_were_on);
        return;
    }
    // Interrupts stay off until the remains are gone: the heap's stock belongs to this CPU.
    lock_.unlock(false);
    bury(*dead);
    arch::restore_interrupts(interrupts_were_on);
}

void Scheduler::enter_thread() {
    release(true);
}

void Scheduler::add(ControlBlock& thread) {
    const bool were_on = lock_.lock();
    thread.scheduler = this;
    make_ready(thread);
    const bool preempt = preempt_;
    release(were_on);
    if (preempt && !in_interrupt()) {
        arch::LocalApic::interrupt_self(arch::vector_reschedule);
    }
}

void Scheduler::park(Deadline deadline) {
    const bool were_on = lock_.lock();
    ControlBlock& self = *running_;
    if (!self.permit && !deadline.expired()) {
        self.state = State::parked;
        if (!deadline.is_never()) {
            self.wake_at = deadline.instant();
            self.timed = true;
            timers_.insert(self);
        }
        switch_away();
    }
    self.permit = false;
    release(were_on);
}

void Scheduler::unpark(ControlBlock& thread) {
    const bool were_on = lock_.lock();
    if (thread.state == State::parked) {
        make_ready(thread);
    } else {
        thread.permit = true;
    }
    const bool preempt = preempt_;
    release(were_on);
    // Taken as soon as the caller's locks are gone and interrupts are on again.
    if (preempt && !in_interrupt()) {
        arch::LocalApic::interrupt_self(arch::vector_reschedule);
    }
}

void Scheduler::yield() {
    const bool were_on = lock_.lock();
    put_back(*running_, false);
    switch_away();
    release(were_on);
}

void Scheduler::end_current() {
    static_cast<void>(lock_.lock());
    running_->state = State::ended;
    dead_ = running_;
    switch_away();
    panic("a thread went on after its end");
}

void Scheduler::timer_interrupt() {
    Scheduler* self = arch::this_cpu().scheduler;
    if (self == nullptr) {
        return;
    }
    const bool were_on = self->lock_.lock();
    self->armed_for_ = Instant::max();
    const Instant time = now();
    while (!self->timers_.empty() && self->timers_.begin()->wake_at <= time) {
        self->make_ready(*self->timers_.begin());
    }
    ControlBlock& running = *self->running_;
    if (time >= self->slice_end_ && &running != self->idle_ && !self->ready_[running.level].empty()) {
        self->preempt_ = true;
    }
    self->arm();
    self->lock_.unlock(were_on);
}

void Scheduler::preempt_if_needed() {
    const arch::Cpu& cpu = arch::this_cpu();
    Scheduler* self = cpu.scheduler;
    if (self == nullptr || !self->preempt_ || cpu.interrupt_depth > 0 || cpu.spinning_ranks != 0) {
        return;
    }
    const bool were_on = self->lock_.lock();
    self->put_back(*self->running_, now() < self->slice_end_);
    self->switch_away();
    self->release(were_on);
}

ControlBlock& current() {
    ControlBlock* thread = Scheduler::current_or_null();
    PV_ASSERT(thread != nullptr);
    return *thread;
}

void park(Deadline deadline) {
    PV_ASSERT(spinning_ranks() == 0 && !in_interrupt());
    current().scheduler->park(deadline);
}

void unpark(ControlBlock& thread) {
    thread.scheduler->unpark(thread);
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

}  // namespace pv::task
