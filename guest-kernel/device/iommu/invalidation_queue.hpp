// VT-d's invalidation queue: what the unit remembers is forgotten, and known to be.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/result.hpp"
#include "device/iommu/spec.hpp"
#include "device/iommu/table_frames.hpp"
#include "device/mmio/window.hpp"
#include "memory/frames.hpp"
#include "task/lock.hpp"

namespace pv::iommu {

/// VT-d 4.0, 6.5.2. Any context; CPUs share it, each waits for its own.
class InvalidationQueue {
  public:
    /// Gives the unit the queue's memory; enabling it is the caller's. `registers` outlives it. Error:
    /// out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<InvalidationQueue>> create(const mmio::Window& registers);

    InvalidationQueue(const InvalidationQueue&) = delete;
    InvalidationQueue& operator=(const InvalidationQueue&) = delete;

    /// Hands `descriptors` (at most `batch_max`) to the unit and spins until it has done them. Errors:
    /// timed_out (within 2 s), device_failed (it was before: the unit is given up then).
    [[nodiscard]] Result<> run(std::span<const spec::Descriptor> descriptors);

    static constexpr std::size_t batch_max = 8;

    /// Batches done.
    [[nodiscard]] std::uint32_t batches() const { return status().load(std::memory_order_relaxed); }

  private:
    struct State {
        std::uint32_t tail = 0;      ///< where the next descriptor goes
        std::uint32_t head = 0;      ///< what the unit had reached when last asked
        std::uint32_t sequence = 0;  ///< number of the last batch
        bool failed = false;
    };

    InvalidationQueue(const mmio::Window& registers, TableFrames ring, memory::Frames status)
        : registers_{registers}, ring_{std::move(ring)}, status_{std::move(status)} {}

    [[nodiscard]] AtomicRef<std::uint32_t> status() const;
    /// Error: timed_out.
    [[nodiscard]] Result<> make_room(State& state, std::size_t count, Deadline deadline);
    void put(State& state, const spec::Descriptor& descriptor);
    [[nodiscard]] Result<> wait(std::uint32_t sequence, Deadline deadline);
    void give_up(std::string_view what);

    mmio::Window registers_;
    TableFrames ring_;
    memory::Frames status_;  ///< its first word: the number of the last batch the unit has done
    task::Guarded<State, task::Rank::iommu> state_;
};

}  // namespace pv::iommu
