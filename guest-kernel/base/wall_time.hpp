// What the clock on the wall says: seconds since 1970, from the monotonic clock and an offset that can be
// set.
// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>

#include "base/time.hpp"

namespace pv {

/// A point of civil time, UTC. nanoseconds is 0 to 999,999,999, also before 1970.
struct Timestamp {
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;

    friend constexpr auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

/// From nanoseconds since 1970, before it too.
[[nodiscard]] constexpr Timestamp timestamp_of(std::int64_t nanoseconds) {
    constexpr std::int64_t second = 1'000'000'000;
    std::int64_t seconds = nanoseconds / second;
    std::int64_t rest = nanoseconds % second;
    if (rest < 0) {
        rest += second;
        --seconds;
    }
    return {seconds, static_cast<std::uint32_t>(rest)};
}

/// Any context. Time since boot until the time is set.
[[nodiscard]] Timestamp wall_time();
/// From now on wall_time() goes on from `time`. Any context.
void set_wall_time(Timestamp time);
/// Nanoseconds from the machine's start to 1970: what wall_time() adds. Any context.
[[nodiscard]] std::int64_t wall_offset();

}  // namespace pv
