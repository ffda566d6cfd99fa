// What a kernel promised of translations it took away, by what its profile tells: remembered until a
// processor is held to it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>

#include "translation/obligations.hpp"

namespace pv::translation {

/// A promise concerns the changes that were made before it: the first `changes`.
struct Promise {
    enum class Kind : std::uint8_t {
        released,   ///< the frame was given back
        forgotten,  ///< the shootdown of the range is over
    };
    Kind kind = Kind::released;
    unsigned cpu = 0;  ///< who gave it, and where
    std::uint64_t pc = 0;
    std::uint64_t changes = 0;
};

/// One caller at a time. Bounded: what there is no room for is forgotten, the oldest shootdowns first.
class Promises {
  public:
    static constexpr std::size_t most_frames = 65'536;
    static constexpr std::size_t most_shootdowns = 1'024;

    /// False: there is no room for another frame, until forget_frames_before().
    bool release(std::uint64_t physical, const Promise& promise);

    /// `root`: the tables in whose range [address, address + length) pages and tables are forgotten.
    void shootdown(const Promise& promise, std::uint64_t root, std::uint64_t address, std::uint64_t length);

    /// Forgets frames that were released before change `number`: nobody owes anything of then.
    void forget_frames_before(std::uint64_t number);

    /// What was promised of `obligation` at `linear`, which it covers; nullptr when nothing was. A shootdown
    /// counts more than the frame that was given back after it. Valid until the next call that is not const.
    [[nodiscard]] const Promise* find(const Obligation& obligation, std::uint64_t linear) const;

    /// The first page of `obligation` that something was promised of, and what; nullptr when there is none.
    [[nodiscard]] const Promise* find_any(const Obligation& obligation, std::uint64_t& linear) const;

  private:
    struct Shootdown {
        Promise promise;
        std::uint64_t root = 0, address = 0, length = 0;
    };

    std::unordered_map<std::uint64_t, Promise> frames_;  ///< by physical address
    std::deque<Shootdown> shootdowns_;                   ///< the last at the end
};

}  // namespace pv::translation
