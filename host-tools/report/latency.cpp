// Latencies of commands by device and operation, in bounded memory.
// SPDX-License-Identifier: MIT
#include "report/latency.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace pv::report {

std::size_t DurationHistogram::index(std::uint64_t value) {
    if (value < (1U << sub_bits)) {
        return value;
    }
    const unsigned top = static_cast<unsigned>(std::bit_width(value)) - 1;
    return (static_cast<std::size_t>(top - sub_bits + 1) << sub_bits) +
           ((value >> (top - sub_bits)) & ((1U << sub_bits) - 1));
}

std::uint64_t DurationHistogram::low(std::size_t index) {
    if (index < (1U << sub_bits)) {
        return index;
    }
    const std::size_t octave = (index >> sub_bits) - 1;
    const std::uint64_t mantissa = (1U << sub_bits) | (index & ((1U << sub_bits) - 1));
    return mantissa << octave;
}

void DurationHistogram::add(std::uint64_t microseconds) {
    ++counts_[index(microseconds)];
    min_ = count_ == 0 ? microseconds : std::min(min_, microseconds);
    max_ = std::max(max_, microseconds);
    ++count_;
}

std::uint64_t DurationHistogram::percentile(double part) const {
    const double wanted = std::clamp(part, 0.0, 1.0) * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        seen += counts_[i];
        if (counts_[i] > 0 && static_cast<double>(seen) >= wanted) {
            const std::uint64_t above = i + 1 < counts_.size() ? low(i + 1) - 1 : max_;
            return std::clamp(low(i) + (above - low(i)) / 2, min_, max_);
        }
    }
    return max_;
}

std::vector<DurationHistogram::Bucket> DurationHistogram::buckets(unsigned merged) const {
    std::vector<Bucket> result;
    for (std::size_t i = 0; i < counts_.size(); i += merged) {
        std::uint64_t sum = 0;
        for (std::size_t j = i; j < std::min(i + merged, counts_.size()); ++j) {
            sum += counts_[j];
        }
        if (sum > 0) {
            const std::uint64_t above = i + merged < counts_.size() ? low(i + merged) : max_;
            result.push_back({low(i), std::min(above, max_ + (max_ < UINT64_MAX ? 1 : 0)), sum});
        }
    }
    return result;
}

std::size_t Latencies::add(const store::Command& command) {
    std::pair<std::int64_t, std::string> key(command.bdf ? static_cast<std::int64_t>(*command.bdf) : -1,
                                             command.operation);
    auto found = index_.find(key);
    if (found == index_.end()) {
        const bool full = series_.size() + 1 >= max_series;
        if (full) {
            key = {-1, "other"};
            found = index_.find(key);
        }
        if (found == index_.end()) {
            LatencySeries series;
            series.bdf = full ? std::nullopt : command.bdf;
            series.operation = key.second;
            found = index_.emplace(std::move(key), series_.size()).first;
            series_.push_back(std::move(series));
        }
    }
    LatencySeries& series = series_[found->second];
    ++series.commands;
    series.completed += command.outcome == "completed" ? 1U : 0U;
    if (const std::optional<std::uint64_t> latency = latency_of(command)) {
        series.histogram.add(*latency);
    }
    return found->second;
}

std::optional<std::uint64_t> latency_of(const store::Command& command) {
    if (!command.completed || *command.completed < command.submitted) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(*command.completed) - static_cast<std::uint64_t>(command.submitted);
}

}  // namespace pv::report
