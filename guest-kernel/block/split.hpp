// A request of any length, cut into what one command of the device can carry.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace pv::block {

/// Part of a request: `blocks` blocks from `first`, whose data lies `offset` bytes into the request's.
struct Piece {
    std::uint64_t first;
    std::uint64_t blocks;
    std::size_t offset;

    bool operator==(const Piece&) const = default;
};

/// Cuts [first, first + blocks) into pieces of at most `limit` blocks (limit > 0), in order, without gaps or
/// overlap. All arithmetic is 64 bits wide: no length is cut on its way to the device.
class Splitter {
  public:
    constexpr Splitter(std::uint64_t first, std::uint64_t blocks, std::uint64_t limit, std::size_t block_size)
        : next_{first}, left_{blocks}, limit_{limit}, block_size_{block_size} {}

    [[nodiscard]] constexpr std::optional<Piece> next() {
        if (left_ == 0) {
            return std::nullopt;
        }
        const std::uint64_t blocks = std::min(left_, limit_);
        const Piece piece{next_, blocks, offset_};
        next_ += blocks;
        left_ -= blocks;
        offset_ += static_cast<std::size_t>(blocks) * block_size_;
        return piece;
    }

    [[nodiscard]] constexpr bool done() const { return left_ == 0; }

  private:
    std::uint64_t next_;
    std::uint64_t left_;
    std::uint64_t limit_;
    std::size_t block_size_;
    std::size_t offset_ = 0;
};

}  // namespace pv::block
