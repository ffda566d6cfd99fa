// Sets of page frames, asked on the path of every store, without a lock: one byte a frame, one bit of it a
// set.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace pv::translation {

/// One load says whether any of several sets has a frame.
class FrameMarks {
  public:
    /// For physical addresses below `limit`.
    explicit FrameMarks(std::uint64_t limit)
        : frames_(limit >> 12),
          marks_(new std::atomic<std::uint8_t>[static_cast<std::size_t>(frames_ + 1)]()) {}

    /// How many there are.
    [[nodiscard]] std::uint64_t frames() const { return frames_; }

    /// The byte of the frame at `physical`, for as long as this lives. Beyond the limit one that stays 0.
    [[nodiscard]] std::atomic<std::uint8_t>& at(std::uint64_t physical) const {
        return marks_[static_cast<std::size_t>(std::min(physical >> 12, frames_))];
    }

  private:
    std::uint64_t frames_;
    std::unique_ptr<std::atomic<std::uint8_t>[]> marks_;
};

/// What the bits of FrameMarks mean.
enum : std::uint8_t {
    mark_table = 1,        ///< a page table that is followed
    mark_owed = 2,         ///< a translation to it was taken away since it was last released
    mark_owned_store = 4,  ///< a device owns bytes of it: stores, or
    mark_owned_load = 8,   ///< loads, have to be looked at
};

/// The frames with one of the bits. No frame beyond the limit is ever among them.
class FrameSet {
  public:
    FrameSet(std::shared_ptr<FrameMarks> marks, std::uint8_t bit) : marks_(std::move(marks)), bit_(bit) {}

    /// The set of another bit of the same bytes.
    [[nodiscard]] FrameSet with(std::uint8_t bit) const { return {marks_, bit}; }

    [[nodiscard]] bool contains(std::uint64_t physical) const {
        return (marks_->at(physical).load(std::memory_order_relaxed) & bit_) != 0;
    }

    void insert(std::uint64_t physical) {
        if (physical >> 12 < marks_->frames()) {
            marks_->at(physical).fetch_or(bit_, std::memory_order_relaxed);
        }
    }

    void erase(std::uint64_t physical) {
        marks_->at(physical).fetch_and(static_cast<std::uint8_t>(~bit_), std::memory_order_relaxed);
    }

    /// The first frame of [physical, physical + length) that is in the set; `none` where there is none.
    [[nodiscard]] std::uint64_t first_in(std::uint64_t physical, std::uint64_t length) const {
        const std::uint64_t frames = marks_->frames();
        const std::uint64_t begin = physical >> 12;
        // Neither sum wraps: what is beyond the limit is not looked at.
        const std::uint64_t end = begin >= frames || length >> 12 >= frames
                                      ? frames
                                      : std::min((physical + length + 4095) >> 12, frames);
        for (std::uint64_t frame = begin; frame < end; ++frame) {
            if (contains(frame << 12)) {
                return frame << 12;
            }
        }
        return none;
    }

    static constexpr std::uint64_t none = ~std::uint64_t{0};

  private:
    std::shared_ptr<FrameMarks> marks_;
    std::uint8_t bit_;
};

}  // namespace pv::translation
