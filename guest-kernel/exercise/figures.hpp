// What the exercise counted: operations, bytes, latencies, and whatever went wrong.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.hpp"
#include "block/latency.hpp"

namespace pv::exercise {

/// Of one thread; added up for a disk.
struct Figures {
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t flushes = 0;
    std::uint64_t bytes = 0;
    std::uint64_t mismatches = 0;
    std::uint64_t errors = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t repeated = 0;  ///< pieces of requests the device's recovery made the driver begin again
    block::Latencies latencies;

    void add(const Figures& other) {
        reads += other.reads;
        writes += other.writes;
        flushes += other.flushes;
        bytes += other.bytes;
        mismatches += other.mismatches;
        errors += other.errors;
        timeouts += other.timeouts;
        repeated += other.repeated;
        latencies.add(other.latencies);
    }
};

/// Prints them: operations and rate, what went wrong, and the latencies as a histogram in one line.
void print(std::string_view disk, std::uint64_t threads, const Figures& figures, Duration elapsed);

}  // namespace pv::exercise
