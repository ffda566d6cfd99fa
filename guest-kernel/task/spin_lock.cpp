// The ranked spinlock.
// SPDX-License-Identifier: MIT
#include "task/spin_lock.hpp"

#include <bit>

#include "arch/processor.hpp"
#include "base/panic.hpp"

namespace pv::task {
namespace {

Rank highest(std::uint64_t ranks) {
    return static_cast<Rank>(63 - std::countl_zero(ranks));
}

}  // namespace

bool SpinLock::lock() {
    const bool were_on = arch::disable_interrupts();
    const std::uint64_t held = spinning_ranks() | (in_interrupt() ? 0 : sleeping_ranks());
    const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(rank_);
    if (held >= bit) [[unlikely]] {
        panic("lock rank violation: taking \"{}\" ({}) while holding \"{}\" ({})", to_string(rank_),
              static_cast<unsigned>(rank_), to_string(highest(held)), static_cast<unsigned>(highest(held)));
    }
    while (taken_.exchange(true, std::memory_order_acquire)) {
        while (taken_.load(std::memory_order_relaxed)) {
            arch::relax_and_serve();
        }
    }
    spinning_ranks() |= bit;
    return were_on;
}

void SpinLock::unlock(bool interrupts_were_on) {
    spinning_ranks() &= ~(std::uint64_t{1} << static_cast<unsigned>(rank_));
    taken_.store(false, std::memory_order_release);
    arch::restore_interrupts(interrupts_were_on);
}

}  // namespace pv::task
