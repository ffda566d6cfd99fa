// What memory each device may use now, and what it might use until a while ago.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "checks/limits.hpp"
#include "checks/model/interval_index.hpp"
#include "checks/model/types.hpp"

namespace pv::checks {

using MappingPointer = std::shared_ptr<const Mapping>;

/// How a range of memory stands with a device's mappings.
struct Coverage {
    /// First run of bytes that no live mapping of the device covers; length 0: all are covered.
    std::uint64_t uncovered = 0;
    std::uint64_t uncovered_length = 0;
    /// Of the uncovered run's first byte: the device's mapping that ended last, when remembered.
    MappingPointer ended;
    /// Of the uncovered run's first byte: another device's live mapping.
    MappingPointer of_other;
    /// A live mapping that covers bytes no live mapping allows in this direction, and those bytes.
    MappingPointer wrong_direction;
    std::uint64_t wrong = 0;
    std::uint64_t wrong_length = 0;
};

/// How a dma_map or dma_unmap marker does not fit.
enum class MappingProblem : std::uint8_t {
    none,
    id_in_use,       ///< mapped under an id that is live
    not_mapped,      ///< unmapped under an id that never was, or is no longer remembered
    unmapped_twice,  ///< unmapped under an id that ended before
    wrong_device,    ///< unmapped for another device
};

class Mappings {
  public:
    explicit Mappings(const Limits& limits) : limits_(limits) {}

    struct Change {
        MappingProblem problem = MappingProblem::none;
        MappingPointer
            mapping;  ///< the one that began or ended; for a problem, the earlier one (may be null)
    };

    Change map(const trace::Event& event);
    Change unmap(const trace::Event& event);
    void quarantine(const trace::Event& event);

    /// `before`: only mappings made before this sequence number count.
    [[nodiscard]] Coverage cover(Bdf bdf, std::uint64_t address, std::uint64_t length, bool device_writes,
                                 std::int64_t before) const;

    /// The same for a device that is not known: the best that any device's mappings give.
    [[nodiscard]] Coverage cover_any(std::uint64_t address, std::uint64_t length, bool device_writes,
                                     std::int64_t before) const;

    /// True when every byte lies in a live mapping of `bdf` other than `except`, whatever its direction.
    [[nodiscard]] bool covered_without(Bdf bdf, std::uint64_t address, std::uint64_t length,
                                       const Mapping* except) const;

    /// A live mapping that devices may write, of another device than `mapping.bdf`, sharing physical bytes.
    [[nodiscard]] MappingPointer shared_writable(const Mapping& mapping) const;

    /// Live mappings, oldest first, at most `most`.
    [[nodiscard]] std::vector<MappingPointer> live(std::size_t most) const;

    [[nodiscard]] std::size_t live_count() const { return live_.size(); }

    [[nodiscard]] std::uint64_t total() const { return total_; }

    /// Mappings dropped because there were more than Limits::open_objects.
    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

    /// Questions that were not answered, because too many mappings overlap at one place: all was taken to be
    /// well there.
    [[nodiscard]] std::uint64_t crowded() const { return crowded_; }

  private:
    struct Space {
        IntervalIndex<MappingPointer> live;
        IntervalIndex<MappingPointer> ended;
        std::unordered_map<std::uint64_t, MappingPointer> ended_by_id;
        std::deque<MappingPointer> ended_in_order;
    };

    using Range = std::tuple<Bdf, std::uint64_t, std::uint64_t>;  ///< device, bus address, length

    void add(const MappingPointer& mapping);
    /// The oldest live mapping of this range that was made without an id; 0 when there is none.
    [[nodiscard]] std::uint64_t without_id(const Range& range) const;
    void remember(Space& space, const MappingPointer& mapping);
    void end(const MappingPointer& mapping);

    Limits limits_;
    std::unordered_map<std::uint64_t, MappingPointer> live_;  ///< by id
    std::map<Range, std::deque<std::uint64_t>> without_id_;   ///< of live_, those that the guest gave no id
    std::uint64_t next_own_id_ = Mapping::first_own_id;
    std::unordered_map<Bdf, Space> spaces_;
    IntervalIndex<MappingPointer> writable_;  ///< live, by physical address, device-writable
    std::uint64_t total_ = 0;
    std::uint64_t dropped_ = 0;
    mutable std::uint64_t crowded_ = 0;
};

}  // namespace pv::checks
