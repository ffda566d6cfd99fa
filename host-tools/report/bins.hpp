// A run of unknown length cut into a bounded number of equal pieces: when it outgrows them, neighbours merge.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace pv::report {

/// At most `limit` (even) pieces of equal width, the width a power of two microseconds, the first one from 0.
/// `Value` has `void merge(const Value&)`; a default one holds nothing.
template <class Value>
class Bins {
  public:
    explicit Bins(std::size_t limit = 512) : limit_(limit) {}

    /// The piece `time` (microseconds, 0 to 2^62) lies in.
    Value& at(std::int64_t time) {
        const auto moment = static_cast<std::uint64_t>(time);
        while (moment >> shift_ >= limit_) {
            halve();
        }
        const auto index = static_cast<std::size_t>(moment >> shift_);
        if (index >= values_.size()) {
            values_.resize(index + 1);
        }
        return values_[index];
    }

    /// Makes the pieces at least as wide as those of a run of `end` microseconds, so that several Bins align.
    void cover(std::int64_t end) {
        while (static_cast<std::uint64_t>(end) >> shift_ >= limit_) {
            halve();
        }
    }

    [[nodiscard]] std::int64_t width() const { return std::int64_t{1} << shift_; }

    [[nodiscard]] const std::vector<Value>& values() const { return values_; }

  private:
    void halve() {
        ++shift_;
        for (std::size_t i = 0; i < values_.size(); ++i) {
            if (i % 2 == 0) {
                values_[i / 2] = std::move(values_[i]);
            } else {
                values_[i / 2].merge(values_[i]);
            }
        }
        values_.resize((values_.size() + 1) / 2);
    }

    std::size_t limit_;
    unsigned shift_ = 0;
    std::vector<Value> values_;
};

}  // namespace pv::report
