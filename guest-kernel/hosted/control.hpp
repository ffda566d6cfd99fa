// What tests set and read where a kernel part runs on a host: clock, log, markers, interrupts.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "interrupt/vector.hpp"

namespace pv::hosted {

/// Holds the clock still at `instant`; advance it with this again. A held clock suits single-threaded tests:
/// parked threads wait in real time.
void hold_clock(Instant instant);
void release_clock();

struct Marker {
    std::uint32_t number = 0;  ///< pv_marker_number
    std::array<std::uint64_t, 6> args{};
};

/// All markers since the last call, of all threads, in order.
std::vector<Marker> take_markers();
/// All log lines since the last call, without their time stamps.
std::vector<std::string> take_log();

/// How many CPUs arch::cpu_count() tells, 1 to arch::cpus_max; false when that cannot be.
bool set_cpu_count(unsigned count);
/// The CPU that arch::current_cpu() tells the calling thread from now on; 0 until told.
void run_as_cpu(unsigned cpu);

/// Delivers the interrupt a device would raise by this message, on the calling thread.
void raise(const interrupt::Message& message);

/// Types characters on the console.
void type(std::string_view text);

/// Makes the nth allocation of frames from now (1 = the next) and all later ones fail; 0 = none fails.
void fail_frames_from(std::uint64_t nth);
/// What frame_statistics says of the memory's size, in frames.
void set_total_frames(std::uint64_t frames);

}  // namespace pv::hosted
