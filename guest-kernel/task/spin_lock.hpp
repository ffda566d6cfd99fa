// The lock everything else stands on: spins with interrupts off, and knows its rank.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"
#include "task/lock_rank.hpp"

namespace pv::task {

/// Restores the interrupt state it found. Any context except NMI. Not recursive. Taking it with a lock of the
/// same or a higher rank held panics, in every build. While it spins it serves shootdown requests, so that a
/// CPU which waits for all others' answers with a lock held gets this one's.
class SpinLock {
  public:
    constexpr explicit SpinLock(Rank rank) : rank_(rank) {}

    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

    /// Returns whether interrupts were on, for `unlock`.
    [[nodiscard]] bool lock();
    void unlock(bool interrupts_were_on);

    [[nodiscard]] Rank rank() const { return rank_; }

  private:
    Atomic<bool> taken_{false};
    Rank rank_;
};

class SpinGuard {
  public:
    explicit SpinGuard(SpinLock& lock) : lock_(lock), interrupts_were_on_(lock.lock()) {}

    SpinGuard(const SpinGuard&) = delete;
    SpinGuard& operator=(const SpinGuard&) = delete;

    ~SpinGuard() { lock_.unlock(interrupts_were_on_); }

  private:
    SpinLock& lock_;
    bool interrupts_were_on_;
};

/// The ranks held, as bits 1 << rank: spinning ones by the current CPU, sleeping ones by the current thread.
/// Kernel: arch/x86_64/cpu.cpp. Hosted: per host thread.
[[nodiscard]] std::uint64_t& spinning_ranks();
[[nodiscard]] std::uint64_t& sleeping_ranks();
/// Panics: a lock of `rank` is wanted with `held` (bits as above, not 0) out of order.
[[noreturn]] void refuse_rank(Rank rank, std::uint64_t held);
/// Whether this is an interrupt handler: the interrupted thread's sleeping locks are then not the handler's.
[[nodiscard]] bool in_interrupt();
/// Whether the caller may wait: no spinlock held, no interrupt handler. Any context.
[[nodiscard]] bool may_sleep();

}  // namespace pv::task
