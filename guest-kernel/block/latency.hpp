// Latencies as a histogram of powers of two.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/format.hpp"
#include "base/time.hpp"

namespace pv::block {

/// Bucket n counts what took less than 2^n microseconds and not less than 2^(n-1); the last one all above.
/// Not synchronised.
class Latencies {
  public:
    static constexpr std::size_t buckets = 28;

    void add(Duration latency) {
        const auto bucket = static_cast<std::size_t>(std::bit_width(latency.to_microseconds()));
        ++counts_[bucket < buckets ? bucket : buckets - 1];
        longest_ = latency > longest_ ? latency : longest_;
    }

    void add(const Latencies& other) {
        for (std::size_t i = 0; i < buckets; ++i) {
            counts_[i] += other.counts_[i];
        }
        longest_ = other.longest_ > longest_ ? other.longest_ : longest_;
    }

    [[nodiscard]] std::uint64_t count(std::size_t bucket) const { return counts_[bucket]; }

    [[nodiscard]] Duration longest() const { return longest_; }

    /// " <64us:312 <128us:62": those that are not empty. For one line of the log.
    void write(format::Writer& line) const {
        for (std::size_t i = 0; i < buckets; ++i) {
            if (counts_[i] != 0) {
                format::write(line, " <{}us:{}", std::uint64_t{1} << i, counts_[i]);
            }
        }
    }

  private:
    std::array<std::uint64_t, buckets> counts_{};
    Duration longest_;
};

}  // namespace pv::block
