// The ranked spinlock.
// SPDX-License-Identifier: MIT
#include "task/spin_lock.hpp"

#include <bit>

#include "arch/processor.hpp"
#include "base/atomic.hpp"
#include "base/panic.hpp"
#if !PV_HOSTED
#include "arch/x86_64/cpu.hpp"
#include "task/control_block.hpp"
#endif

namespace pv::task {
namespace {

struct Ranks {
    std::uint64_t& spinning;
    std::uint64_t all;  ///< what counts against the order: sleeping ones too, but not in an interrupt
};

// Interrupts are off. Every lock comes through here: in the kernel without a call.
#if PV_HOSTED
Ranks ranks() {
    return {spinning_ranks(), spinning_ranks() | (in_interrupt() ? 0 : sleeping_ranks())};
}
#else
Ranks ranks() {
    arch::Cpu& cpu = arch::this_cpu();
    const std::uint64_t sleeping = cpu.interrupt_depth > 0  ? 0
                                   : cpu.running != nullptr ? cpu.running->sleeping_ranks
                                                            : cpu.early_sleeping_ranks;
    return {cpu.spinning_ranks, cpu.spinning_ranks | sleeping};
}
#endif

// Ends as `lock` does, which has nothing left to do after it.
[[gnu::noinline]] bool spin(Atomic<bool>& taken, std::uint64_t bit, bool were_on) {
    do {
        while (taken.load(std::memory_order_relaxed)) {
            arch::relax_and_serve();
        }
    } while (taken.exchange(true, std::memory_order_acquire));
    ranks().spinning |= bit;
    return were_on;
}

}  // namespace

// What is rare stays out of the way of what is not: no registers are saved for it.
[[gnu::noinline, gnu::cold]] void refuse_rank(Rank rank, std::uint64_t held) {
    const Rank highest = static_cast<Rank>(63 - std::countl_zero(held));
    panic("lock rank violation: taking \"{}\" ({}) while holding \"{}\" ({})", to_string(rank),
          static_cast<unsigned>(rank), to_string(highest), static_cast<unsigned>(highest));
}

bool SpinLock::lock() {
    const bool were_on = arch::disable_interrupts();
    const auto [spinning, held] = ranks();
    const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(rank_);
    if (held >= bit) [[unlikely]] {
        refuse_rank(rank_, held);
    }
    if (taken_.exchange(true, std::memory_order_acquire)) [[unlikely]] {
        return spin(taken_, bit, were_on);
    }
    spinning |= bit;
    return were_on;
}

void SpinLock::unlock(bool interrupts_were_on) {
    ranks().spinning &= ~(std::uint64_t{1} << static_cast<unsigned>(rank_));
    taken_.store(false, std::memory_order_release);
    arch::restore_interrupts(interrupts_were_on);
}

}  // namespace pv::task
