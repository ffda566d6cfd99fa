// The real-time clock of a PC: what it says, read so that its once-a-second update cannot tear it.
// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>

#include "base/deadline.hpp"
#include "base/function_ref.hpp"
#include "base/result.hpp"

namespace pv::rtc {

/// UTC, as machines for Linux guests are given it. The year is the whole one.
struct Calendar {
    std::uint16_t year = 1970;
    std::uint8_t month = 1;  ///< 1 to 12
    std::uint8_t day = 1;    ///< 1 to 31
    std::uint8_t hour = 0;
    std::uint8_t minute = 0;
    std::uint8_t second = 0;

    friend constexpr auto operator<=>(const Calendar&, const Calendar&) = default;
};

/// Seconds from 1970-01-01 00:00:00 to a valid `time` of 1970 or later. Every day has 86,400.
[[nodiscard]] std::int64_t seconds_since_1970(const Calendar& time);

/// Motorola MC146818A, "Update cycle" and "Registers": the chip changes its registers once a second, in up to
/// 2 ms, while a bit says so. That bit alone is not enough, for the update may begin between two reads: the
/// registers are read until two readings are equal and the bit was clear at each. `read_register` reads the
/// register of that number. `century`: the register that holds it (FADT, CENTURY), 0 = none: years are 1970
/// to 2069 then. Errors: timed_out (never the same twice, or always in an update), corrupt (no date, or the
/// chip says its battery failed). Spins.
[[nodiscard]] Result<Calendar> read_calendar(FunctionRef<std::uint8_t(std::uint8_t)> read_register,
                                             std::uint8_t century, Deadline deadline);

}  // namespace pv::rtc
