// From the processor's counter to nanoseconds: one arithmetic for the kernel's clock and for what programs
// read by themselves.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv {

/// Nanoseconds since boot = (counter - origin) * multiplier / 2^32. A multiplier of 0: no clock runs yet.
struct ClockScale {
    std::uint64_t origin = 0;
    std::uint64_t multiplier = 0;

    /// `counter` is at or after the origin.
    [[nodiscard]] constexpr std::uint64_t nanoseconds(std::uint64_t counter) const {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint64_t>(Wide{counter - origin} * multiplier >> 32);
    }
};

}  // namespace pv
