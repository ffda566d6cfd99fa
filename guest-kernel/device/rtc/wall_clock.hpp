// What time it is: the real-time clock's reading at boot, carried on by the monotonic clock.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace pv::rtc {

/// From now on `seconds` since 1970 (UTC) is what it was at `at`. Any context.
void set_wall_clock(std::int64_t seconds, Instant at);

/// Nanoseconds since 1970-01-01 00:00:00 UTC, to the second of the real-time clock; nothing before it was
/// read. Any context.
[[nodiscard]] std::optional<std::int64_t> wall_clock();

}  // namespace pv::rtc
