// What the exercise counted, as lines on the console.
// SPDX-License-Identifier: MIT
#include "exercise/figures.hpp"

#include <array>

#include "base/format.hpp"
#include "base/log.hpp"

namespace pv::exercise {

void print(std::string_view disk, std::uint64_t threads, const Figures& figures, Duration elapsed) {
    const std::uint64_t kib = figures.bytes >> 10;
    const std::uint64_t microseconds = elapsed.to_microseconds() == 0 ? 1 : elapsed.to_microseconds();
    const std::uint64_t operations = figures.reads + figures.writes + figures.flushes;
    log::info(
        "exercise: {}: {} threads, {} writes, {} reads, {} flushes, {} KiB in {}: {} operations/s, {} KiB/s",
        disk, threads, figures.writes, figures.reads, figures.flushes, kib, elapsed,
        operations * 1'000'000 / microseconds, kib * 1'000'000 / microseconds);
    log::info("exercise: {}: {} mismatches, {} errors, {} timeouts, {} repeated", disk, figures.mismatches,
              figures.errors, figures.timeouts, figures.repeated);
    std::array<char, 400> buffer;
    format::Writer line{buffer};
    figures.latencies.write(line);
    log::info("exercise: {}: latencies{}, longest {}", disk, line.text(), figures.latencies.longest());
}

}  // namespace pv::exercise
