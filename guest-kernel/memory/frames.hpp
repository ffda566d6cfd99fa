// Page frames: contiguous, physically addressed memory in powers of two.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/address.hpp"
#include "base/result.hpp"

namespace pv::memory {

/// A block has page_size << order bytes and is aligned to its size.
inline constexpr unsigned order_max = 18;  // 1 GiB

/// The smallest order whose block holds `bytes`; order_max + 1 when none does.
[[nodiscard]] constexpr unsigned order_for(std::uint64_t bytes) {
    unsigned order = 0;
    while (order <= order_max && (std::uint64_t{page_size} << order) < bytes) {
        ++order;
    }
    return order;
}

/// Single frames come from a stock of the CPU, most of the time. Contents are whatever was there. Any context
/// but NMI. Errors: out_of_memory, invalid_argument (order).
Result<PhysicalAddress> allocate_frames(unsigned order);
/// One frame for what a program asks for: the last ones are left to the kernel itself, so that drivers go on
/// and what is out of memory can be told and ended. Error: out_of_memory.
Result<PhysicalAddress> allocate_program_frame();
/// A block of 2^order of them, without asking the stocks of the CPUs. It leaves more than half of memory
/// free, or, where it is `wanted`, more than is low. Error: out_of_memory.
Result<PhysicalAddress> allocate_program_block(unsigned order, bool wanted);
/// Makes single frames of a block, each to be freed by itself: anything else panics.
void split_frames(PhysicalAddress address, unsigned order);
/// Whether such frames are used up.
[[nodiscard]] bool is_scarce();
/// Whether they nearly are: no further program is begun then.
[[nodiscard]] bool is_low();
/// `address` came from allocate_frames(order) and is not used any more: anything else panics.
void free_frames(PhysicalAddress address, unsigned order);

struct FrameStatistics {
    std::uint64_t total = 0;  ///< frames under management, free or given out
    std::uint64_t free = 0;
    std::uint64_t metadata = 0;       ///< frames that hold the allocator's own books
    std::uint64_t largest_order = 0;  ///< of a free block
    std::uint64_t refills = 0;        ///< times a CPU's stock had to ask the common allocator
    PhysicalAddress highest{};        ///< end of the highest managed frame
};

[[nodiscard]] FrameStatistics frame_statistics();

/// The owner of one block of frames.
class Frames {
  public:
    static Result<Frames> allocate(unsigned order);
    /// At least `bytes`, zero-filled. Errors: out_of_memory, invalid_argument (0 bytes or beyond order_max).
    static Result<Frames> allocate_zeroed(std::uint64_t bytes);

    Frames() = default;

    Frames(Frames&& other) noexcept
        : address_(other.address_), order_(other.order_), valid_(std::exchange(other.valid_, false)) {}

    Frames& operator=(Frames&& other) noexcept {
        std::swap(address_, other.address_);
        std::swap(order_, other.order_);
        std::swap(valid_, other.valid_);
        return *this;
    }

    Frames(const Frames&) = delete;
    Frames& operator=(const Frames&) = delete;

    ~Frames() {
        if (valid_) {
            free_frames(address_, order_);
        }
    }

    [[nodiscard]] PhysicalAddress address() const { return address_; }

    [[nodiscard]] std::uint64_t size() const { return valid_ ? std::uint64_t{page_size} << order_ : 0; }

    [[nodiscard]] bool valid() const { return valid_; }

    /// The memory as the CPU sees it, through the direct map.
    [[nodiscard]] std::span<std::byte> bytes() const;

    /// Gives the ownership away: the caller frees with free_frames(address(), order).
    PhysicalAddress release() {
        valid_ = false;
        return address_;
    }

    [[nodiscard]] unsigned order() const { return order_; }

  private:
    Frames(PhysicalAddress address, unsigned order) : address_(address), order_(order), valid_(true) {}

    PhysicalAddress address_{};
    unsigned order_ = 0;
    bool valid_ = false;
};

}  // namespace pv::memory
