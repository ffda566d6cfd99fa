// Byte ranges of guest memory that devices own, found by their frames.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "paravane/trace_event.hpp"
#include "translation/frame_set.hpp"

namespace pv::ownership {

inline constexpr std::uint64_t page_size = 4096;

using trace::BufferRole;

/// A piece of a buffer within one frame. Indexes are into the pool; 0 is none.
struct Range {
    std::uint64_t buffer = 0;         ///< physical address of the whole buffer, as the device was told of it
    std::uint32_t buffer_length = 0;  ///< bytes
    std::uint32_t owner = 0;
    std::uint32_t frame_next = 0, frame_before = 0;
    std::uint32_t owner_next = 0, owner_before = 0;
    std::uint16_t begin = 0, end = 0;  ///< in the frame; end is behind the last byte
    BufferRole role{};
    bool told_store = false, told_load = false;
};

/// One caller at a time, but for the two sets of frames, which any thread may ask.
class Ranges {
  public:
    /// For physical addresses below `limit`; at most `most` pieces. `marks`, for the same limit, may be
    /// shared with others; nullptr: it gets its own.
    Ranges(std::uint64_t limit, std::size_t most, std::shared_ptr<translation::FrameMarks> marks = nullptr);

    /// Adds the pieces of [physical, physical + length) in front of the list that begins at `first`. What is
    /// not below the limit is left out. False when there was no room for all.
    [[nodiscard]] bool add(std::uint32_t owner, std::uint32_t& first, std::uint64_t physical,
                           std::uint64_t length, BufferRole role);

    /// Removes one piece from the list of its owner that begins at `first`.
    void remove(std::uint32_t index, std::uint32_t& first);

    /// Removes the whole list.
    void clear(std::uint32_t& first);

    [[nodiscard]] Range& at(std::uint32_t index) { return pool_[index]; }

    /// Calls `each(index)` for every piece that shares bytes with [physical, physical + size), which lies in
    /// one frame. `each` must neither add nor remove.
    template <class Each>
    void overlapping(std::uint64_t physical, std::size_t size, Each each) const {
        const std::uint64_t frame = physical / page_size;
        if (frame >= frames_) {
            return;
        }
        const std::uint64_t begin = physical % page_size;
        for (std::uint32_t i = heads_[frame]; i != 0; i = pool_[i].frame_next) {
            if (pool_[i].begin < begin + size && begin < pool_[i].end) {
                each(i);
            }
        }
    }

    /// Frames of which stores, and of which loads, are to be looked at.
    [[nodiscard]] const translation::FrameSet& stores() const { return stores_; }

    [[nodiscard]] const translation::FrameSet& loads() const { return loads_; }

    /// Pieces that devices write: while there are none, no load matters.
    [[nodiscard]] std::size_t written() const { return written_; }

  private:
    bool add_piece(std::uint32_t& first, const Range& range, std::uint64_t frame);

    std::uint64_t frames_;
    std::size_t most_;
    std::unique_ptr<std::uint32_t[]> heads_;  ///< a frame's first piece
    std::vector<Range> pool_;
    std::vector<std::uint64_t> frame_;  ///< of each piece of the pool
    std::uint32_t free_ = 0;            ///< linked by owner_next
    std::size_t written_ = 0;
    translation::FrameSet stores_, loads_;
};

}  // namespace pv::ownership
