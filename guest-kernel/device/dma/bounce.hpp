// Bounce buffers: without an IOMMU, a fixed pool is all the memory that devices are told to use for data.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/address.hpp"
#include "base/deadline.hpp"
#include "base/result.hpp"

/// A late or stray transfer of a device that was told an address of the pool reaches the pool only: what a
/// program or the kernel put into the same memory since is never overwritten. What devices hold for their
/// whole service, rings and tables (dma::Buffer), has frames of its own instead.
namespace pv::dma::bounce {

/// Takes the pool: a sixteenth of memory, as one block. Once, when it is known that there is no IOMMU; before
/// the first driver. Error: out_of_memory; there is no pool then.
Result<> start();

/// From start on: data goes through the pool. Any context.
[[nodiscard]] bool active();

struct Slice {
    PhysicalAddress physical{};
    std::span<std::byte> bytes;  ///< whole pages
    bool lasting = false;        ///< from take_lasting
};

/// At least `length` bytes of the pool. When there are none, waits until `deadline`: then threads only, and
/// no spinlock held; a deadline in the past only looks. Errors: out_of_range (more than the pool has),
/// timed_out (none until then), busy (none, and it only looked).
[[nodiscard]] Result<Slice> take(std::size_t length, Deadline deadline);

/// The same for memory that its owner keeps as long as he likes (dma::Pages::allocate_in_place): at most half
/// of the pool in all, so that copies find room. Never waits; any context. Errors: out_of_range, busy.
[[nodiscard]] Result<Slice> take_lasting(std::size_t length);

/// Gives it back. Any context.
void give_back(const Slice& slice);

struct Figures {
    std::uint64_t size = 0;     ///< bytes of the pool
    std::uint64_t in_use = 0;   ///< bytes taken
    std::uint64_t lasting = 0;  ///< of those, by take_lasting
    std::uint64_t highest = 0;  ///< most that ever was
    std::uint64_t waits = 0;    ///< calls of take that had to wait
};

[[nodiscard]] Figures figures();

}  // namespace pv::dma::bounce
