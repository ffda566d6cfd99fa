// Objects by the byte range they cover, ranges may overlap: what covers or touches a range, in O(log n).
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>

namespace pv::checks {

/// Holds (range, value) pairs. Ranges are sorted into classes by their length's power of two, so that a
/// search in a class goes back at most one length: one huge range does not make small ones slow to find.
template <class Value>
class IntervalIndex {
  public:
    void insert(std::uint64_t address, std::uint64_t length, Value value) {
        if (length == 0) {
            return;
        }
        const std::size_t size_class = class_of(length);
        classes_[size_class].emplace(address, Entry{length, std::move(value)});
        used_ |= std::uint64_t{1} << size_class;
        ++size_;
    }

    /// Removes one entry of exactly this range and value; false when there is none.
    bool erase(std::uint64_t address, std::uint64_t length, const Value& value) {
        if (length == 0) {
            return false;
        }
        auto& entries = classes_[class_of(length)];
        auto [first, last] = entries.equal_range(address);
        for (; first != last; ++first) {
            if (first->second.length == length && first->second.value == value) {
                entries.erase(first);
                --size_;
                return true;
            }
        }
        return false;
    }

    /// Calls visit(address, length, value) for every entry that shares a byte with the range. `visit` returns
    /// false to stop.
    template <class Visit>
    void overlapping(std::uint64_t address, std::uint64_t length, Visit&& visit) const {
        if (length == 0) {
            return;
        }
        const std::uint64_t last = last_byte(address, length);
        for (std::uint64_t rest = used_; rest != 0; rest &= rest - 1) {
            const auto size_class = static_cast<std::size_t>(std::countr_zero(rest));
            const auto& entries = classes_[size_class];
            const std::uint64_t longest = longest_of(size_class);
            const std::uint64_t from = address > longest ? address - longest : 0;
            for (auto entry = entries.lower_bound(from); entry != entries.end() && entry->first <= last;
                 ++entry) {
                if (last_byte(entry->first, entry->second.length) >= address &&
                    !visit(entry->first, entry->second.length, entry->second.value)) {
                    return;
                }
            }
        }
    }

    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    struct Entry {
        std::uint64_t length;
        Value value;
    };

    static std::size_t class_of(std::uint64_t length) {
        return static_cast<std::size_t>(std::bit_width(length) - 1);
    }

    static std::uint64_t longest_of(std::size_t size_class) {
        return size_class >= 63 ? std::numeric_limits<std::uint64_t>::max()
                                : (std::uint64_t{2} << size_class) - 1;
    }

    /// Ranges that would wrap end at the last address.
    static std::uint64_t last_byte(std::uint64_t address, std::uint64_t length) {
        const std::uint64_t last = address + (length - 1);
        return last < address ? std::numeric_limits<std::uint64_t>::max() : last;
    }

    std::array<std::multimap<std::uint64_t, Entry>, 64> classes_;
    std::uint64_t used_ = 0;  ///< bit per class that ever held something
    std::size_t size_ = 0;
};

}  // namespace pv::checks
