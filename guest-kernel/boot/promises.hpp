// What the hello marker promises to whoever watches.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/time.hpp"
#include "paravane/marker.h"

namespace pv::boot {

/// Every mapping, command, queue, wait, durability request, page table, shootdown and the code are marked,
/// without exception; and what a device was given is left alone until the device is done with it.
inline constexpr std::uint64_t promised_features =
    PV_FEATURE_DMA | PV_FEATURE_COMMANDS | PV_FEATURE_QUEUES | PV_FEATURE_WAITS | PV_FEATURE_DURABILITY |
    PV_FEATURE_PROTECTION | PV_FEATURE_TRANSLATION | PV_FEATURE_OWNERSHIP;

/// How long after a deadline this kernel has acted at the latest. Threads are woken by a timer and run at
/// once; the rest is for a host that shares its processors.
inline constexpr Duration promised_slack = Duration::milliseconds(500);

/// All there are: this is said before the firmware's tables are read.
inline constexpr std::uint64_t promised_cpus = 0;

}  // namespace pv::boot
