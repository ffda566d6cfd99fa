// VT-d's interrupt remapping table: which interrupt of which device may become which vector.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "base/marker.hpp"
#include "base/result.hpp"
#include "device/iommu/invalidation_queue.hpp"
#include "device/iommu/spec.hpp"
#include "device/iommu/table_frames.hpp"
#include "interrupt/vector.hpp"
#include "task/lock.hpp"

namespace pv::iommu {

/// VT-d 4.0, chapter 5. Threads and interrupt handlers; synchronises itself. An entry belongs to one
/// interrupt of one device, and only that device may use it.
class InterruptTable {
  public:
    /// `extended`: destinations are 32-bit APIC ids. Error: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<InterruptTable>> create(InvalidationQueue& queue,
                                                                        bool coherent, bool extended);

    /// What IRTA_REG is to hold (11.4.15).
    [[nodiscard]] std::uint64_t register_value() const;

    /// Interrupt `source` of `device` raises `message` from now on; returns what the device must send
    /// instead. The same interrupt keeps its entry. Errors: no_space (the table is full), as the invalidation
    /// queue.
    [[nodiscard]] Result<interrupt::Message> set(marker::Device device, std::size_t source,
                                                 const interrupt::Message& message);

    /// The device raises nothing any more.
    void clear(marker::Device device);

  private:
    /// Whose entry it is; free when source is unused.
    struct Owner {
        static constexpr std::uint32_t unused = ~0U;
        marker::Device device{};
        std::uint32_t source = unused;
    };

    static constexpr std::size_t entries = 4096;
    static constexpr unsigned size_field = 11;  // 2^(field + 1) entries

    InterruptTable(InvalidationQueue& queue, bool coherent, bool extended, TableFrames table)
        : queue_{queue}, coherent_{coherent}, extended_{extended}, table_{std::move(table)} {}

    void write(std::size_t index, std::uint64_t low, std::uint64_t high);

    InvalidationQueue& queue_;
    bool coherent_;
    bool extended_;
    TableFrames table_;
    task::Guarded<std::unique_ptr<Owner[]>, task::Rank::dma> owners_;
};

}  // namespace pv::iommu
