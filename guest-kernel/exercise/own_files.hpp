// What programs can read of this machine's devices: files of /proc/paravane.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "exercise/disks.hpp"

namespace pv::exercise {

/// Adds to /proc/paravane:
///   commands   for each queue of each disk: commands outstanding, the oldest, counts, latencies; empty while
///              there are no disks
///   mappings   how many mappings of devices were made, are live, in quarantine, and abandoned
///   locks      the ranks of locks in the order in which they may be taken: the number, whether who holds one
///              may sleep, the name
/// Once, before programs run. Errors: no_space.
[[nodiscard]] Result<> add_own_files();

/// From here on `commands` tells of these; nullptr: of none. Returns when nobody reads of those before.
/// Threads only.
void show_commands_of(Disks* disks);

}  // namespace pv::exercise
