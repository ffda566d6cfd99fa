// The clock of the probes that see every load and store.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/time.h>

#include <cstdint>

namespace pv::plugin {

/// Microseconds of the wall clock, of which QEMU's lines have their times.
inline std::int64_t wall_microseconds() {
    timeval now{};
    gettimeofday(&now, nullptr);
    return now.tv_sec * std::int64_t{1'000'000} + now.tv_usec;
}

}  // namespace pv::plugin
