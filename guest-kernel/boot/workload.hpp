// Where the kernel's start-up ends and its work begins.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::boot {

/// Finds devices, runs what the command line asks for, lets go of the devices again, and returns the status
/// the machine powers off with (docs/exercise.md). Called once, on the main thread, with everything of the
/// kernel up. Defined in exercise/.
std::uint32_t workload();

}  // namespace pv::boot
