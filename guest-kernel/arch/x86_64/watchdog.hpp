// A CPU that takes no timer interrupt any more is reported by another one, a thread that lets no other run by
// its own.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "arch/x86_64/trap.hpp"
#include "base/time.hpp"

namespace pv::arch {

/// How long a CPU may stay silent before the others say so on the console; 10 s unless set, zero = never.
void set_watchdog(Duration patience);

[[nodiscard]] Duration watchdog_patience();

/// How often each CPU takes a timer interrupt at least; Duration::max() while there is nothing to watch: one
/// CPU, and no thread that waits for it.
[[nodiscard]] Duration watchdog_round(bool somebody_waits);

/// Says that the thread interrupted at `frame` has run for `span` while thread `waiting` was ready on this
/// CPU, with its back trace.
void report_greed(const TrapFrame& frame, std::string_view waiting, Duration span);

/// Called by each CPU at its timer interrupts, interrupts off, no lock held: looks at the next CPU, and past
/// it while that one is silent. Says once that it is silent, with its back trace, and once when it goes on.
void watch_neighbour();

}  // namespace pv::arch
