// The buddy allocator of one run of page frames.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/address.hpp"
#include "memory/frames.hpp"

namespace pv::memory {

/// Knuth's buddy system: blocks of 2^order frames, aligned to their size, merged with their buddy when both
/// are free. One byte of books a frame; a free block's list hook lies in the block itself. Not synchronised.
class Buddy {
  public:
    /// Manages frames [first, first + states.size()), none of them free yet. `states` is zero-filled and
    /// outlives this. `window` is the virtual address where physical address 0 would be seen.
    Buddy(std::uint64_t first, std::span<std::uint8_t> states, std::uint64_t window);

    Buddy(const Buddy&) = delete;
    Buddy& operator=(const Buddy&) = delete;
    ~Buddy();

    /// Hands over frames never given before. They lie inside the run.
    void add(std::uint64_t frame, std::uint64_t count);

    /// The first frame of a block of 2^order.
    [[nodiscard]] std::optional<std::uint64_t> allocate(unsigned order);

    /// False, and nothing changed, when no block of that order was given out there.
    [[nodiscard]] bool free(std::uint64_t frame, unsigned order);

    /// Makes single frames, each given out by itself, of a block of 2^order that was given out. False, and
    /// nothing changed, when no such block was.
    [[nodiscard]] bool split(std::uint64_t frame, unsigned order);

    /// The order of the block given out at `frame`, if there is one.
    [[nodiscard]] std::optional<unsigned> order_of(std::uint64_t frame) const;

    /// Changes the books of one single frame given out, and no other's: needs no lock, if the frame's owner
    /// does it. False, and nothing changed, when that is not so (already). A frame in stock is not free, and
    /// cannot be freed.
    [[nodiscard]] bool mark_in_stock(std::uint64_t frame);
    [[nodiscard]] bool unmark_in_stock(std::uint64_t frame);

    [[nodiscard]] bool contains(std::uint64_t frame) const {
        return frame >= first_ && frame - first_ < states_.size();
    }

    [[nodiscard]] std::uint64_t free_count() const { return free_; }

    [[nodiscard]] std::uint64_t managed_count() const { return managed_; }

    [[nodiscard]] std::uint64_t first() const { return first_; }

    [[nodiscard]] std::uint64_t end() const { return first_ + states_.size(); }

    /// The order of the largest free block, nothing when none is free.
    [[nodiscard]] std::optional<unsigned> largest_free() const;

  private:
    struct FreeBlock
        : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {};

    using FreeList = boost::intrusive::list<FreeBlock, boost::intrusive::constant_time_size<false>>;

    [[nodiscard]] FreeBlock* block_at(std::uint64_t frame) const;
    [[nodiscard]] std::uint64_t frame_of(const FreeBlock& block) const;
    void push(std::uint64_t frame, unsigned order);
    void remove(std::uint64_t frame, unsigned order);
    void release(std::uint64_t frame, unsigned order);
    bool change(std::uint64_t frame, std::uint8_t from, std::uint8_t to);

    std::uint8_t& state(std::uint64_t frame) { return states_[frame - first_]; }

    std::uint64_t first_;
    std::span<std::uint8_t> states_;
    std::uint64_t window_;
    std::uint64_t free_ = 0;
    std::uint64_t managed_ = 0;
    std::array<FreeList, order_max + 1> lists_;
};

}  // namespace pv::memory
