// The sleeping lock.
// SPDX-License-Identifier: MIT
#include "task/lock.hpp"

#include <bit>

#include "base/panic.hpp"

namespace pv::task {
namespace {

// What is rare stays out of the way of what is not: no registers are saved for it.
[[noreturn, gnu::noinline, gnu::cold]] void refuse(Rank rank, std::uint64_t held) {
    const Rank highest = static_cast<Rank>(63 - std::countl_zero(held));
    panic("lock rank violation: taking \"{}\" ({}) while holding \"{}\" ({})", to_string(rank),
          static_cast<unsigned>(rank), to_string(highest), static_cast<unsigned>(highest));
}

}  // namespace

bool Mutex::try_take() {
    return !taken_.exchange(true, std::memory_order_acquire);
}

Result<> Mutex::lock(Deadline deadline) {
    PV_ASSERT(may_sleep_holding(rank_) && may_sleep());
    const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(rank_);
    std::uint64_t& held = sleeping_ranks();  // the thread's own: they go with it
    if (held >= bit) [[unlikely]] {
        refuse(rank_, held);
    }
    if (!try_take()) [[unlikely]] {
        PV_TRY(waiters_.wait(deadline, [this] { return try_take(); }));
    }
    held |= bit;
    return {};
}

void Mutex::unlock() {
    sleeping_ranks() &= ~(std::uint64_t{1} << static_cast<unsigned>(rank_));
    taken_.store(false, std::memory_order_release);
    waiters_.wake_one();
}

}  // namespace pv::task
