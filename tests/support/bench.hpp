// Interleaved measurements: every side runs once a round, so that a busy moment of the machine hits all
// alike.
// SPDX-License-Identifier: MIT
#pragma once

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace pv::test {

struct Side {
    std::string name;
    std::function<bool()> run;  ///< false: its result was wrong, so its time is no result
    std::vector<double> seconds = {};
    bool right = true;
};

/// Processor time of this process, all its threads: what "on one core" means, also on a busy machine.
inline double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// Runs every side `rounds` times in turn and prints processor time (median, best), rate and ratio to the
/// first side (the floor). false: some side's result was wrong.
inline bool compare(std::vector<Side>& sides, int rounds, double items, const char* unit) {
    for (int round = 0; round < rounds; ++round) {
        for (Side& side : sides) {
            const double began = cpu_seconds();
            side.right = side.run() && side.right;
            side.seconds.push_back(cpu_seconds() - began);
        }
    }
    bool right = true;
    double floor = 0;
    for (Side& side : sides) {
        std::ranges::sort(side.seconds);
        const double median = side.seconds[side.seconds.size() / 2];
        floor = floor == 0 ? median : floor;
        fmt::print("{:<44} median {:7.3f} s  best {:7.3f} s  {:10.0f} {}/s  {:5.2f} x floor{}\n", side.name,
                   median, side.seconds.front(), items / median, unit, median / floor,
                   side.right ? "" : "  WRONG RESULT");
        right = right && side.right;
    }
    std::fflush(stdout);
    return right;
}

}  // namespace pv::test
