// What the exercise counted: operations, bytes, latencies, and whatever went wrong.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/time.hpp"

namespace pv::exercise {

/// Of one thread; added up for a disk.
struct Figures {
    /// Bucket n counts latencies below 2^n microseconds and not below 2^(n-1); the last one all above.
    static constexpr std::size_t buckets = 28;

    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t flushes = 0;
    std::uint64_t bytes = 0;
    std::uint64_t mismatches = 0;
    std::uint64_t errors = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t repeated = 0;  ///< pieces of requests the device's recovery made the driver begin again
    Duration longest;
    std::array<std::uint64_t, buckets> latencies{};

    void add_latency(Duration latency) {
        const auto bucket = static_cast<std::size_t>(std::bit_width(latency.to_microseconds()));
        ++latencies[bucket < buckets ? bucket : buckets - 1];
        longest = latency > longest ? latency : longest;
    }

    void add(const Figures& other) {
        reads += other.reads;
        writes += other.writes;
        flushes += other.flushes;
        bytes += other.bytes;
        mismatches += other.mismatches;
        errors += other.errors;
        timeouts += other.timeouts;
        repeated += other.repeated;
        longest = other.longest > longest ? other.longest : longest;
        for (std::size_t i = 0; i < buckets; ++i) {
            latencies[i] += other.latencies[i];
        }
    }
};

/// Prints them: operations and rate, what went wrong, and the latencies as a histogram in one line.
void print(std::string_view disk, std::uint64_t threads, const Figures& figures, Duration elapsed);

}  // namespace pv::exercise
