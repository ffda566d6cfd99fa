// The sleeping lock.
// SPDX-License-Identifier: MIT
#include "task/lock.hpp"

#include "base/panic.hpp"

namespace pv::task {

bool Mutex::try_take() {
    return !taken_.exchange(true, std::memory_order_acquire);
}

Result<> Mutex::lock(Deadline deadline) {
    PV_ASSERT(may_sleep_holding(rank_) && may_sleep());
    const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(rank_);
    std::uint64_t& held = sleeping_ranks();  // the thread's own: they go with it
    if (held >= bit) [[unlikely]] {
        refuse_rank(rank_, held);
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
