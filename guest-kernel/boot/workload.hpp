// Where the kernel's start-up ends and its work begins.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace pv::boot {

// Defined in exercise/. One of the two ways is taken, once, on the main thread, with everything of the kernel
// up.

/// Finds devices, runs what the command line asks for, lets go of the devices again, and returns the status
/// the machine powers off with (docs/exercise.md).
std::uint32_t workload();

/// The same on a thread of its own, beside programs: nothing reads the console, and the devices stay until
/// finish_workload. Returns once they are up, or after two seconds, so that a device that does not answer
/// keeps no program waiting. Error: out_of_memory.
Result<> start_workload();

/// Waits until all that was asked for is done and the devices are let go; returns its status. The work bounds
/// itself; a thread of it that hangs is a status as well.
std::uint32_t finish_workload();

}  // namespace pv::boot
