// How CPUs share threads: who takes over what waits elsewhere.
// SPDX-License-Identifier: MIT
#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/trap.hpp"
#include "task/scheduler.hpp"

namespace pv::task {

// Calls a CPU for each thread that may not run here. It comes: take_over begins by looking for such threads,
// whatever it runs itself.
void Scheduler::send_away() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const unsigned cpus = arch::cpu_count();
    for (unsigned level = ready_.below(ReadyLists::levels); level > 0; level = ready_.below(level)) {
        for (const ControlBlock& thread : ready_[level]) {
            unsigned step = may_be_here(thread) ? cpus : 1;
            while (step < cpus && !thread.cpus.test((cpu_.index + step) % cpus)) {
                ++step;
            }
            if (step < cpus) {
                Scheduler& other = *arch::cpu((cpu_.index + step) % cpus).scheduler;
                if (!other.pull_.exchange(true, std::memory_order_seq_cst)) {
                    arch::LocalApic::interrupt(other.cpu_.apic_id, arch::vector_reschedule);
                }
            }
        }
    }
}

// Takes one thread that waits on a CPU where it may not run and may run here. Interrupts are off, no lock is
// held. True when there was one.
bool Scheduler::take_misplaced() {
    const unsigned cpus = arch::cpu_count();
    for (unsigned step = 1; step < cpus; ++step) {
        Scheduler& other = *arch::cpu((cpu_.index + step) % cpus).scheduler;
        if (other.misplaced_.load(std::memory_order_relaxed) == 0) {
            continue;
        }
        static_cast<void>(other.lock_.lock());
        ControlBlock* found = other.ready_.find(ReadyLists::levels, 0, [&](const ControlBlock& thread) {
            return !other.may_be_here(thread) && may_be_here(thread);
        });
        if (found != nullptr) {
            other.take_out(*found);
            found->scheduler.store(this, std::memory_order_release);  // as in take_over
        }
        other.lock_.unlock(false);
        if (found != nullptr) {
            static_cast<void>(lock_.lock());
            put_back(*found, false);
            if (found->level > running_->level) {
                preempt_.store(true, std::memory_order_relaxed);
            }
            lock_.unlock(false);
            return true;
        }
    }
    return false;
}

// Takes one ready thread from another CPU if one is more urgent than what runs here. Interrupts are off, no
// lock is held. True when it did: preempt_if_needed goes on.
bool Scheduler::take_over() {
    pull_.store(false, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    bool any = false;
    while (take_misplaced()) {
        any = true;
    }
    if (any) {
        return true;
    }
    const unsigned above = running_level_.load(std::memory_order_relaxed);
    const unsigned cpus = arch::cpu_count();
    for (unsigned step = 1; step < cpus; ++step) {
        Scheduler& other = *arch::cpu((cpu_.index + step) % cpus).scheduler;
        if (other.ready_count_.load(std::memory_order_relaxed) == 0) {
            continue;
        }
        static_cast<void>(other.lock_.lock());
        ControlBlock* thread = other.first_to_go(above, cpu_.index);
        if (thread != nullptr) {
            other.take_out(*thread);
            // From here on whoever wants to wake it comes to our lock. It is ready, and in nobody's list
            // until we have put it into ours: nobody else touches it.
            thread->scheduler.store(this, std::memory_order_release);
        }
        other.lock_.unlock(false);
        if (thread != nullptr) {
            static_cast<void>(lock_.lock());
            put_back(*thread, true);
            preempt_.store(true, std::memory_order_relaxed);
            lock_.unlock(false);
            return true;
        }
    }
    return false;
}

// Whether a thread that was woken, or is new, is to wait for the CPU of its waker, whose scheduler this is:
// most who wake another thread wait next, for what that one does. Moved to an idle CPU it costs two
// interrupts and all that it had in this CPU's caches. Interrupts are off; the thread's own lock is held.
bool Scheduler::may_keep(const ControlBlock& thread) const {
    if (in_interrupt() || arch::cpu_count() == 1 || running_ == idle_ || running_ == nullptr ||
        ready_count_.load(std::memory_order_relaxed) > 0 || is_real_time_level(thread.level) ||
        thread.level != running_level_.load(std::memory_order_relaxed) || !may_be_here(thread)) {
        return false;
    }
    if (running_->waking.at_once > 0) {
        --running_->waking.at_once;
        return false;
    }
    return true;
}

// Puts a ready thread of nobody's lists among those of this CPU, and tells no other one before patience ends.
void Scheduler::keep(ControlBlock& thread) {
    constexpr Duration patience = Duration::milliseconds(1);
    put_back(thread, false);
    keeps_ = true;
    kept_until_ = now() + patience;
    arm();
}

// The running thread goes on instead of waiting: others may have who was kept, and it is not expected to wait
// after waking others for a while. That grows with each time, as one may be the host's doing, which took the
// processor away meanwhile.
void Scheduler::give_up_late(Instant time) {
    if (keeps_ && time >= kept_until_) {
        constexpr std::uint8_t most_doublings = 7;
        ControlBlock::Waking& waking = running_->waking;
        waking.at_once = static_cast<std::uint8_t>(1U << waking.doublings);
        waking.doublings = std::min<std::uint8_t>(waking.doublings + 1, most_doublings);
        keeps_ = false;
        offer();
    }
}

// The running thread waits, as was expected of it.
void Scheduler::trust(ControlBlock::Waking& waking) const {
    if (keeps_ && waking.doublings > 0) {
        --waking.doublings;
    }
}

// What runs here is less urgent than what did, at level `since`: a real-time thread that waits behind a more
// urgent one elsewhere comes. The same rule as for a CPU that goes idle (offer): the level is set, then the
// others' lists are looked at.
void Scheduler::look_for_more_urgent(unsigned since) {
    if (running_level_.load(std::memory_order_relaxed) >= since || running_ == idle_ ||
        arch::cpu_count() == 1) {
        return;
    }
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (real_time_waiting_.load(std::memory_order_relaxed) > 0 &&
        !pull_.exchange(true, std::memory_order_seq_cst)) [[unlikely]] {
        call_here();
    }
}

}  // namespace pv::task
