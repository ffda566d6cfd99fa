// What a kernel promised of translations it took away, by what its profile tells: remembered until a
// processor is held to it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

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

    /// What a shootdown was about: pages and tables of [address, address + length).
    struct Range {
        std::uint64_t root = 0;  ///< of the tables; 0: of all tables, and then pages alone
        std::uint64_t address = 0, length = 0;
    };

    void shootdown(const Promise& promise, const Range& range);

    /// Whether frames may be sought out that nobody can reach any more, to forget_frames_but() the others:
    /// not so often that it costs more than the frames that were released since.
    [[nodiscard]] bool may_make_room() const { return releases_ >= most_frames / 4; }

    /// Forgets all frames but those of [first, last] of some pair.
    void forget_frames_but(std::vector<std::pair<std::uint64_t, std::uint64_t>> reached);

    /// What was promised of `obligation` at `linear`, which it covers; nullptr when nothing was. A shootdown
    /// counts more than the frame that was given back after it. Of all tables' shootdowns those count that
    /// began after change `since`. Valid until the next call that is not const.
    [[nodiscard]] const Promise* find(const Obligation& obligation, std::uint64_t linear,
                                      std::uint64_t since) const;

    /// The first page of `obligation` that something was promised of, and what; nullptr when there is none.
    [[nodiscard]] const Promise* find_any(const Obligation& obligation, std::uint64_t& linear,
                                          std::uint64_t since) const;

  private:
    struct Shootdown {
        Promise promise;
        Range range;

        [[nodiscard]] bool concerns(const Obligation& obligation, std::uint64_t linear,
                                    std::uint64_t since) const;
    };

    std::size_t releases_ = 0;                           ///< of frames, since room was made
    std::unordered_map<std::uint64_t, Promise> frames_;  ///< by physical address
    std::deque<Shootdown> shootdowns_;                   ///< the last at the end
};

}  // namespace pv::translation
