// Latencies of commands by device and operation, in bounded memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "store/trace.hpp"

namespace pv::report {

/// Counts of durations in buckets 1/32 as wide as the power of two they lie in: any percentile to within 2 %,
/// exact below 32 µs, in 15 kB whatever was added (the idea of HDR histograms).
class DurationHistogram {
  public:
    struct Bucket {
        std::uint64_t low = 0;   ///< µs, counts
        std::uint64_t high = 0;  ///< µs, the first that does not
        std::uint64_t count = 0;
    };

    void add(std::uint64_t microseconds);

    [[nodiscard]] std::uint64_t count() const { return count_; }

    [[nodiscard]] std::uint64_t min() const { return min_; }

    [[nodiscard]] std::uint64_t max() const { return max_; }

    /// The smallest duration that at least `part` (0 to 1) of those added do not exceed, as the middle of its
    /// bucket, never outside min() to max(). 0 when nothing was added.
    [[nodiscard]] std::uint64_t percentile(double part) const;
    /// Buckets that hold something, in order; `merged` of the finest at once, counted from multiples of it.
    [[nodiscard]] std::vector<Bucket> buckets(unsigned merged = 4) const;

  private:
    static constexpr unsigned sub_bits = 5;
    static constexpr std::size_t size = (64 - sub_bits + 1) << sub_bits;

    static std::size_t index(std::uint64_t value);
    static std::uint64_t low(std::size_t index);

    std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(size);
    std::uint64_t count_ = 0;
    std::uint64_t min_ = 0;
    std::uint64_t max_ = 0;
};

struct LatencySeries {
    std::optional<std::uint32_t> bdf;
    std::string operation;        ///< as stored: not escaped
    std::uint64_t commands = 0;   ///< all of them
    std::uint64_t completed = 0;  ///< with outcome "completed"
    DurationHistogram histogram;  ///< from submission to completion of all that have both times
};

/// Collects commands. At most 64 series: what comes beyond goes to one named "other".
class Latencies {
  public:
    static constexpr std::size_t max_series = 64;

    /// Its series' position in series().
    std::size_t add(const store::Command& command);

    [[nodiscard]] const std::vector<LatencySeries>& series() const { return series_; }

  private:
    std::map<std::pair<std::int64_t, std::string>, std::size_t, std::less<>> index_;
    std::vector<LatencySeries> series_;
};

/// Microseconds from submission to completion; nothing without a completion or when it lies before (a trace
/// from elsewhere).
std::optional<std::uint64_t> latency_of(const store::Command& command);

/// Calls `callback(command)` for each command in id order, a page at a time.
template <class Callback>
Result<> for_each_command(store::Trace& trace, Callback&& callback) {
    constexpr std::int64_t page = 10'000;
    std::int64_t after = 0;
    while (true) {
        const std::vector<store::Command> commands = PV_TRY(trace.commands(page, after));
        for (const store::Command& command : commands) {
            callback(command);
        }
        if (commands.size() < static_cast<std::size_t>(page)) {
            return {};
        }
        after = commands.back().id;
    }
}

}  // namespace pv::report
