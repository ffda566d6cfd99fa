// A set of page frames, asked on the path of every store: one bit each, no lock.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace pv::translation {

class FrameSet {
  public:
    /// For physical addresses below `limit`; no other is ever in it.
    explicit FrameSet(std::uint64_t limit)
        : frames_(limit >> 12), words_(new std::atomic<std::uint64_t>[size()]()) {}

    [[nodiscard]] bool contains(std::uint64_t physical) const {
        const std::uint64_t frame = physical >> 12;
        return frame < frames_ &&
               (words_[frame / 64].load(std::memory_order_relaxed) >> (frame % 64) & 1) != 0;
    }

    void insert(std::uint64_t physical) {
        const std::uint64_t frame = physical >> 12;
        if (frame < frames_) {
            words_[frame / 64].fetch_or(1ULL << (frame % 64), std::memory_order_relaxed);
        }
    }

    void erase(std::uint64_t physical) {
        const std::uint64_t frame = physical >> 12;
        if (frame < frames_) {
            words_[frame / 64].fetch_and(~(1ULL << (frame % 64)), std::memory_order_relaxed);
        }
    }

    /// The first frame of [physical, physical + length) that is in the set; `none` where there is none.
    [[nodiscard]] std::uint64_t first_in(std::uint64_t physical, std::uint64_t length) const {
        const std::uint64_t begin = physical >> 12;
        // Neither sum wraps: what is beyond the limit is not looked at.
        const std::uint64_t last =
            begin >= frames_ || length >> 12 >= frames_ ? frames_ : (physical + length + 4095) >> 12;
        const std::uint64_t end = last < frames_ ? last : frames_;
        for (std::uint64_t frame = begin; frame < end;) {
            const std::uint64_t word = words_[frame / 64].load(std::memory_order_relaxed) >> (frame % 64);
            if (word == 0) {
                frame = (frame / 64 + 1) * 64;
            } else if ((word & 1) != 0) {
                return frame << 12;
            } else {
                ++frame;
            }
        }
        return none;
    }

    static constexpr std::uint64_t none = ~std::uint64_t{0};

  private:
    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(frames_ / 64 + 1); }

    std::uint64_t frames_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

}  // namespace pv::translation
