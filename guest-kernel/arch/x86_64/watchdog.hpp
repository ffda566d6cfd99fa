// A CPU that takes no timer interrupt any more is reported by another one, with where it hangs.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/time.hpp"

namespace pv::arch {

/// How long a CPU may stay silent before the others say so on the console; 10 s unless set, zero = never.
void set_watchdog(Duration patience);

/// How often each CPU takes a timer interrupt at least; Duration::max() while nobody watches.
[[nodiscard]] Duration watchdog_round();

/// Called by each CPU at its timer interrupts, interrupts off, no lock held: looks at the next CPU, and past
/// it while that one is silent. Says once that it is silent, with its back trace, and once when it goes on.
void watch_neighbour();

}  // namespace pv::arch
