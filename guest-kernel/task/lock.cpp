// The sleeping lock.
// SPDX-License-Identifier: MIT
#include "task/lock.hpp"

#include <bit>

#include "base/panic.hpp"

namespace pv::task {

bool Mutex::try_take() {
    return !taken_.exchange(true, std::memory_order_acquire);
}

Result<> Mutex::lock(Deadline deadline) {
    PV_ASSERT(may_sleep_holding(rank_) && may_sleep());
    const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(rank_);
    const std::uint64_t held = sleeping_ranks();
    if (held >= bit) [[unlikely]] {
        const Rank highest = static_cast<Rank>(63 - std::countl_zero(held));
        panic("lock rank violation: taking \"{}\" ({}) while holding \"{}\" ({})", to_string(rank_),
              static_cast<unsigned>(rank_), to_string(highest), static_cast<unsigned>(highest));
    }
    if (!try_take()) {
        PV_TRY(waiters_.wait(deadline, [this] { return try_take(); }));
    }
    sleeping_ranks() |= bit;
    return {};
}

void Mutex::unlock() {
    sleeping_ranks() &= ~(std::uint64_t{1} << static_cast<unsigned>(rank_));
    taken_.store(false, std::memory_order_release);
    waiters_.wake_one();
}

}  // namespace pv::task
