// Ranges of addresses with a value each, none overlapping another: the last one said counts.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <utility>

namespace pv::checks {

/// What is said of a range replaces what was said of its bytes before, so that nobody can pile ranges on one
/// another: each call takes O(log n), and setting and clearing what it replaces besides.
template <class Value>
class RangeMap {
  public:
    struct Entry {
        std::uint64_t begin = 0;
        std::uint64_t last = 0;  ///< inclusive
        const Value* value = nullptr;
    };

    /// A range that would wrap ends at the last address. Adds up to two entries.
    void set(std::uint64_t address, std::uint64_t length, Value value) {
        if (length != 0) {
            clear(address, length);
            ranges_.emplace(address, Range{last_byte(address, length), std::move(value)});
        }
    }

    void clear(std::uint64_t address, std::uint64_t length) {
        if (length == 0) {
            return;
        }
        const std::uint64_t last = last_byte(address, length);
        auto range = ranges_.lower_bound(address);
        if (range != ranges_.begin() && std::prev(range)->second.last >= address) {
            --range;
        }
        while (range != ranges_.end() && range->first <= last) {
            const std::uint64_t begin = range->first;
            Range old = std::move(range->second);
            range = ranges_.erase(range);
            if (begin < address) {
                ranges_.emplace(begin, Range{address - 1, old.value});
            }
            if (old.last > last) {
                range = ranges_.emplace(last + 1, Range{old.last, std::move(old.value)}).first;
                break;
            }
        }
    }

    /// The first range that shares a byte with the one asked for; `value` is null when there is none.
    [[nodiscard]] Entry find(std::uint64_t address, std::uint64_t length = 1) const {
        if (length == 0) {
            return {};
        }
        auto range = ranges_.upper_bound(address);
        if (range != ranges_.begin() && std::prev(range)->second.last >= address) {
            --range;
        }
        if (range == ranges_.end() || range->first > last_byte(address, length)) {
            return {};
        }
        return {range->first, range->second.last, &range->second.value};
    }

    /// Of a range of `length` bytes, not 0; of one that would wrap, the last address.
    static std::uint64_t last_byte(std::uint64_t address, std::uint64_t length) {
        const std::uint64_t last = address + (length - 1);
        return last < address ? std::numeric_limits<std::uint64_t>::max() : last;
    }

    [[nodiscard]] std::size_t size() const { return ranges_.size(); }

    [[nodiscard]] bool empty() const { return ranges_.empty(); }

  private:
    struct Range {
        std::uint64_t last;
        Value value;
    };

    std::map<std::uint64_t, Range> ranges_;  ///< by their first byte
};

}  // namespace pv::checks
