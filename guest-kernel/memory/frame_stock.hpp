// A few single page frames that one CPU has at hand, so that most calls leave the common allocator alone.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

#include "base/address.hpp"
#include "task/spin_lock.hpp"

namespace pv::memory {

/// Guarded by its lock, which other CPUs take only when memory runs out and for statistics.
struct FrameStock {
    static constexpr std::uint32_t capacity = 32;

    task::SpinLock lock{task::Rank::frame_stock};
    std::uint32_t count = 0;
    std::array<PhysicalAddress, capacity> frames{};
    std::uint64_t refills = 0;  ///< times the common allocator was asked
};

}  // namespace pv::memory
