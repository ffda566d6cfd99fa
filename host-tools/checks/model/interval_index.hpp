// Objects by the byte range they cover, ranges may overlap: what covers or touches a range, in O(log n).
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>

namespace pv::checks {

/// Holds (range, value) pairs; a value points to something with an `id`. Ranges are sorted into classes by
/// their length's power of two, so that a search in a class goes back at most one length: one huge range does
/// not make small ones slow to find.
template <class Value>
class IntervalIndex {
  public:
    static constexpr std::size_t most = 1'024;  ///< entries that one search looks at

    void insert(std::uint64_t address, std::uint64_t length, Value value) {
        if (length == 0) {
            return;
        }
        const std::size_t size_class = class_of(length);
        const Key key{address, length, value->id};
        classes_[size_class].emplace(key, std::move(value));
        used_ |= std::uint64_t{1} << size_class;
        ++size_;
    }

    /// Removes one entry of exactly this range and value; false when there is none.
    bool erase(std::uint64_t address, std::uint64_t length, const Value& value) {
        if (length == 0) {
            return false;
        }
        auto& entries = classes_[class_of(length)];
        auto [first, last] = entries.equal_range(Key{address, length, value->id});
        for (; first != last; ++first) {
            if (first->second == value) {
                entries.erase(first);
                --size_;
                return true;
            }
        }
        return false;
    }

    /// A value of exactly this range; null when there is none.
    [[nodiscard]] Value find(std::uint64_t address, std::uint64_t length) const {
        if (length == 0) {
            return nullptr;
        }
        const auto& entries = classes_[class_of(length)];
        const auto entry = entries.lower_bound(Key{address, length, 0});
        return entry != entries.end() && entry->first.address == address && entry->first.length == length
                   ? entry->second
                   : nullptr;
    }

    /// Calls visit(address, length, value) for every entry that shares a byte with the range. `visit` returns
    /// false to stop. Looks at no more than `most` entries: somebody may pile them up without end. False when
    /// that was not enough.
    template <class Visit>
    bool overlapping(std::uint64_t address, std::uint64_t length, Visit&& visit) const {
        if (length == 0) {
            return true;
        }
        std::size_t looked_at = 0;
        const std::uint64_t last = last_byte(address, length);
        for (std::uint64_t rest = used_; rest != 0; rest &= rest - 1) {
            const auto size_class = static_cast<std::size_t>(std::countr_zero(rest));
            const auto& entries = classes_[size_class];
            const std::uint64_t longest = longest_of(size_class);
            const std::uint64_t from = address > longest ? address - longest : 0;
            for (auto entry = entries.lower_bound(Key{from, 0, 0});
                 entry != entries.end() && entry->first.address <= last; ++entry) {
                const Key& key = entry->first;
                if (++looked_at > most) {
                    return false;
                }
                if (last_byte(key.address, key.length) >= address &&
                    !visit(key.address, key.length, entry->second)) {
                    return true;
                }
            }
        }
        return true;
    }

    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    /// With the id, so that one of many entries of one range is found without looking at the others.
    struct Key {
        std::uint64_t address;
        std::uint64_t length;
        std::uint64_t id;

        auto operator<=>(const Key&) const = default;
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

    std::array<std::multimap<Key, Value>, 64> classes_;
    std::uint64_t used_ = 0;  ///< bit per class that ever held something
    std::size_t size_ = 0;
};

}  // namespace pv::checks
