// The threads of one CPU that are ready: a list for each level, and at which levels there are any.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "task/control_block.hpp"

namespace pv::task {

/// No lock of its own: the scheduler's is held.
class ReadyLists {
  public:
    using List = boost::intrusive::list<
        ControlBlock,
        boost::intrusive::base_hook<boost::intrusive::list_base_hook<boost::intrusive::tag<ReadyTag>, Link>>,
        boost::intrusive::constant_time_size<false>>;

    /// One more than the highest level.
    static constexpr unsigned levels = level_of(Priority::high) + 1;

    [[nodiscard]] List& operator[](unsigned level) { return lists_[level]; }

    /// Behind, or before, all that are ready at its level.
    void put(ControlBlock& thread, bool at_front) {
        List& list = lists_[thread.level];
        if (at_front) {
            list.push_front(thread);
        } else {
            list.push_back(thread);
        }
        filled_[thread.level / bits] |= bit_of(thread.level);
    }

    void take(ControlBlock& thread) {
        List& list = lists_[thread.level];
        list.erase(list.iterator_to(thread));
        if (list.empty()) {
            filled_[thread.level / bits] &= ~bit_of(thread.level);
        }
    }

    /// The highest level below `level` at which anybody is ready; 0, where nobody ever is: none.
    [[nodiscard]] unsigned below(unsigned level) const {
        for (unsigned word = (level + bits - 1) / bits; word-- > 0;) {
            const std::uint64_t mask = word == level / bits ? bit_of(level) - 1 : ~std::uint64_t{0};
            if (const std::uint64_t found = filled_[word] & mask; found != 0) {
                return word * bits + bits - 1 - static_cast<unsigned>(std::countl_zero(found));
            }
        }
        return 0;
    }

    /// The first that is `wanted` of those at a level above `lowest` and below `highest`, the most urgent
    /// level first; nullptr: there is none.
    template <class Wanted>
    [[nodiscard]] ControlBlock* find(unsigned highest, unsigned lowest, const Wanted& wanted) {
        for (unsigned level = below(highest); level > lowest; level = below(level)) {
            for (ControlBlock& thread : lists_[level]) {
                if (wanted(thread)) [[likely]] {
                    return &thread;
                }
            }
        }
        return nullptr;
    }

  private:
    static constexpr unsigned bits = 64;

    static constexpr std::uint64_t bit_of(unsigned level) { return std::uint64_t{1} << level % bits; }

    std::array<List, levels> lists_;
    std::array<std::uint64_t, (levels + bits - 1) / bits> filled_{};
};

}  // namespace pv::task
