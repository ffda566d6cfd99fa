// The offset between the two clocks.
// SPDX-License-Identifier: MIT
#include "device/rtc/wall_clock.hpp"

#include <atomic>
#include <limits>

namespace pv::rtc {
namespace {

constexpr std::int64_t unknown = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t second = 1'000'000'000;

// Nanoseconds since 1970 of the monotonic clock's zero.
constinit std::atomic<std::int64_t> origin{unknown};

}  // namespace

void set_wall_clock(std::int64_t seconds, Instant at) {
    origin.store(seconds * second - static_cast<std::int64_t>(at.since_boot().to_nanoseconds()),
                 std::memory_order_relaxed);
}

std::optional<std::int64_t> wall_clock() {
    const std::int64_t since = origin.load(std::memory_order_relaxed);
    if (since == unknown) {
        return std::nullopt;
    }
    return since + static_cast<std::int64_t>(now().since_boot().to_nanoseconds());
}

}  // namespace pv::rtc
