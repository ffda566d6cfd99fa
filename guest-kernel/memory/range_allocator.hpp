// Ranges of kernel address space, given out and taken back.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "base/vector.hpp"
#include "memory/memory_map.hpp"

namespace pv::memory {

/// First fit over a sorted list of free ranges. Sizes are multiples of what the caller aligns to. Not
/// synchronised; allocates its list from the heap.
class RangeAllocator {
  public:
    constexpr RangeAllocator(std::uint64_t begin, std::uint64_t end) : next_(begin), end_(end) {}

    /// Errors: out_of_memory (address space or heap).
    Result<std::uint64_t> allocate(std::uint64_t size);
    /// `size` as it was allocated. Never fails: room for the entry was made when the range was given out.
    void free(std::uint64_t begin, std::uint64_t size);

    [[nodiscard]] std::uint64_t in_use() const { return in_use_; }

  private:
    std::uint64_t next_;  ///< everything from here to end_ was never given out
    std::uint64_t end_;
    std::uint64_t in_use_ = 0;
    std::uint64_t given_out_ = 0;  ///< ranges
    Vector<Range> free_;           ///< sorted, none touches another
};

}  // namespace pv::memory
