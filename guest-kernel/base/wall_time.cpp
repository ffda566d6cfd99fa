// Civil time as an offset to the monotonic clock.
// SPDX-License-Identifier: MIT
#include "base/wall_time.hpp"

#include "base/atomic.hpp"

namespace pv {
namespace {

constexpr std::int64_t second = 1'000'000'000;

// Nanoseconds: 292 years to either side.
constinit Atomic<std::int64_t> offset{0};

std::int64_t since_boot() {
    return static_cast<std::int64_t>(now().since_boot().to_nanoseconds());
}

}  // namespace

Timestamp wall_time() {
    return timestamp_of(since_boot() + wall_offset());
}

void set_wall_time(Timestamp time) {
    offset.store(time.seconds * second + time.nanoseconds - since_boot(), std::memory_order_relaxed);
}

std::int64_t wall_offset() {
    return offset.load(std::memory_order_relaxed);
}

}  // namespace pv
