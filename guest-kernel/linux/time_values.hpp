// Times as programs and this kernel have them.
// SPDX-License-Identifier: MIT
#pragma once

#include <time.h>

#include <cstdint>

#include "base/deadline.hpp"
#include "base/errno.hpp"
#include "base/wall_time.hpp"

namespace pv::linux {

struct Call;

/// What clock_gettime(2) tells the caller. Error: einval (no such clock).
[[nodiscard]] Outcome<timespec> read_clock(Call& call, clockid_t clock);

/// struct timeval, 64-bit.
struct TimevalValue {
    std::int64_t seconds = 0;
    std::int64_t microseconds = 0;

    static constexpr TimevalValue from(Duration d) {
        return {static_cast<std::int64_t>(d.to_microseconds() / 1'000'000),
                static_cast<std::int64_t>(d.to_microseconds() % 1'000'000)};
    }
};

/// struct rusage (getrusage(2)).
struct RusageValue {
    TimevalValue user;
    TimevalValue system;
    std::int64_t resident = 0;   ///< KiB
    std::int64_t sizes[3] = {};  ///< nobody has ever told them
    std::int64_t faults = 0;     ///< without a disk
    std::int64_t others[9] = {};
};

static_assert(sizeof(TimevalValue) == 16 && sizeof(RusageValue) == 144);

[[nodiscard]] constexpr timespec timespec_of(Duration d) {
    return {static_cast<time_t>(d.to_nanoseconds() / 1'000'000'000),
            static_cast<long>(d.to_nanoseconds() % 1'000'000'000)};
}

/// Error: einval (negative, or nanoseconds out of range).
[[nodiscard]] constexpr Outcome<Duration> duration_of(const timespec& time) {
    if (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= 1'000'000'000) {
        return fail(Errno::einval);
    }
    return Duration::seconds(static_cast<std::uint64_t>(time.tv_sec)) +
           Duration::nanoseconds(static_cast<std::uint64_t>(time.tv_nsec));
}

[[nodiscard]] inline Outcome<Deadline> deadline_after(const timespec& time) {
    return Deadline::after(PV_TRY(duration_of(time)));
}

/// `clock`: CLOCK_REALTIME or any that counts from the machine's start.
[[nodiscard]] inline Outcome<Deadline> deadline_at(clockid_t clock, const timespec& time) {
    const Duration span = PV_TRY(duration_of(time));
    if (clock != CLOCK_REALTIME) {
        return Deadline::at(Instant::since_boot(span));
    }
    const Timestamp wall = wall_time();
    const Duration wall_now =
        Duration::seconds(static_cast<std::uint64_t>(wall.seconds)) + Duration::nanoseconds(wall.nanoseconds);
    return Deadline::after(span - wall_now);
}

}  // namespace pv::linux
