// The monotonic clock: the time stamp counter, measured against something whose rate is known.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock_scale.hpp"
#include "base/time.hpp"

namespace pv::arch {

/// Marks the moment that will be zero on the clock. First thing at boot.
void set_clock_origin();

struct ClockSource {
    std::uint64_t hertz = 0;  ///< 0: no source answered
    std::string_view name;    ///< what it was measured against
};

/// Finds the counter's rate and starts the clock. `pm_timer`: I/O port of the ACPI timer, 0 = none. Bounded:
/// a source that does not move is left for the next. Panics when none is left.
ClockSource start_clock(std::uint16_t pm_timer);

/// From now on no reading of the clock, on any CPU, is before one that was made before it. For machines whose
/// counters differ: costs a shared variable at each reading. Any context.
void keep_clock_monotonic();

/// How the clock is made of the counter, for who reads the counter itself. Nothing where that would not do:
/// no clock runs, or it is kept monotonic.
[[nodiscard]] std::optional<ClockScale> plain_clock_scale();

/// The counter's value at `instant`.
[[nodiscard]] std::uint64_t tsc_at(Instant instant);

}  // namespace pv::arch
