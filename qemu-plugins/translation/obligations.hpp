// What one processor may still use although the tables no longer give it: one obligation for each translation
// taken away, until an instruction discharges it.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "translation/entry.hpp"
#include "translation/invalidation.hpp"

namespace pv::translation {

/// A store that took a translation away.
struct Change {
    std::uint64_t number = 0;  ///< from 1, in the order of the stores
    std::uint64_t linear = 0;  ///< the first address that the entry translates
    std::uint64_t old_entry = 0;
    std::uint64_t new_entry = 0;
    unsigned level = 0;
    unsigned cpu = 0;  ///< who stored it
    std::uint64_t pc = 0;
    std::int64_t time = 0;           ///< microseconds
    std::uint64_t instructions = 0;  ///< of that processor, when it was stored
};

struct Obligation {
    std::uint64_t first = 0;  ///< linear addresses: first byte
    std::uint64_t last = 0;   ///< last byte
    std::uint64_t root = 0;   ///< of the tables that gave it
    std::uint16_t pcid = 0;
    bool global = false;     ///< kept by what keeps global entries
    bool structure = false;  ///< a paging-structure cache's: leads to the table `old.physical`
    bool coarse = false;  ///< stands for more pages than are counted one by one: only a whole flush ends it
    bool reported = false;
    std::uint64_t kept_pc = 0;  ///< a write to CR3 that came since and does not reach it, as it is global
    Translation old{};          ///< of the page at `first`; of a table: the rights above it, and its level
    Change change{};

    [[nodiscard]] bool covers(std::uint64_t linear) const { return linear >= first && linear <= last; }

    [[nodiscard]] bool overlaps(std::uint64_t address, std::uint64_t length) const {
        return length != 0 && first <= address + (length - 1) && address <= last;
    }
};

/// Asked on the path of every access, without a lock: false for most pages that nothing is owed for. True may
/// be wrong.
class PageFilter {
  public:
    static constexpr std::size_t bits = 4096;

    static constexpr std::size_t bit(std::uint64_t linear) { return (linear >> 12) % bits; }

    [[nodiscard]] bool may_contain(std::uint64_t linear) const {
        return (words_[bit(linear) / 64].load(std::memory_order_relaxed) >> (bit(linear) % 64) & 1) != 0;
    }

    void set(std::size_t bit) { words_[bit / 64].fetch_or(1ULL << (bit % 64), std::memory_order_relaxed); }

    void clear(std::size_t bit) {
        words_[bit / 64].fetch_and(~(1ULL << (bit % 64)), std::memory_order_relaxed);
    }

  private:
    std::array<std::atomic<std::uint64_t>, bits / 64> words_{};
};

/// Of one processor. Not for several threads at once, but for may_cover() and filter().
class Obligations {
  public:
    static constexpr std::size_t most = 32'768;

    /// One of the same kind, for the same page and the same old translation, is replaced. False: no room.
    bool add(const Obligation& obligation);

    /// What `operation`, on address `linear` or space `named`, makes the processor forget.
    void discharge(const Effect& effect, std::uint64_t linear, std::uint16_t current, std::uint16_t named);

    /// Notes at all global obligations that a write to CR3 at `pc` kept them.
    void keep_globals(std::uint64_t pc);

    [[nodiscard]] std::size_t size() const { return pages_.size() + wide_.size(); }

    /// Whether it may still use what was taken away from programs. Without a lock.
    [[nodiscard]] bool concern_programs() const {
        return user_pages_.load(std::memory_order_relaxed) + user_wide_.load(std::memory_order_relaxed) != 0;
    }

    /// False for most pages that nothing covers, without a lock: for the path of every access. True may be
    /// wrong.
    [[nodiscard]] bool may_cover(std::uint64_t linear) const { return filter_.may_contain(linear); }

    [[nodiscard]] const PageFilter& filter() const { return filter_; }

    template <class F>
    void for_each(F&& f) {
        for (auto& [page, obligation] : pages_) {
            f(obligation);
        }
        for (Obligation& obligation : wide_) {
            f(obligation);
        }
    }

    /// Whether a page that an access to `linear` may use is among them.
    [[nodiscard]] bool covers(std::uint64_t linear) const {
        return pages_.contains(linear >> 12) ||
               (wide_count_ != 0 && std::ranges::any_of(wide_, [&](const auto& at) {
                    return at.covers(linear) && !at.structure && !at.coarse;
                }));
    }

    /// Those that cover the page around `linear`.
    template <class F>
    void for_each_at(std::uint64_t linear, F&& f) {
        const auto [begin, end] = pages_.equal_range(linear >> 12);
        for (auto at = begin; at != end; ++at) {
            f(at->second);
        }
        for (Obligation& obligation : wide_) {
            if (obligation.covers(linear)) {
                f(obligation);
            }
        }
    }

  private:
    void count_in(const Obligation& obligation);
    void count_out(const Obligation& obligation);
    void count_wide();

    std::unordered_multimap<std::uint64_t, Obligation> pages_;  ///< by linear page: one page of 4 KiB each
    std::vector<Obligation> wide_;                              ///< all others
    std::size_t wide_count_ = 0;               ///< large pages among them: accesses use those
    std::atomic<std::size_t> user_pages_ = 0;  ///< of programs, among pages_
    std::atomic<std::size_t> user_wide_ = 0;   ///< and among wide_
    /// How many pages share a bit of the filter. While there are large pages all its bits are set.
    std::array<std::uint16_t, PageFilter::bits> sharing_{};
    PageFilter filter_;
};

}  // namespace pv::translation
