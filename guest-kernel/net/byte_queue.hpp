// Bytes in order between two parties, in pieces of one page each that come as they are needed.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace pv::net {

/// A piece: what was put and not yet taken lies in [begin, end).
struct ByteChunk
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    static constexpr std::size_t size_max = 4096 - 2 * sizeof(void*) - 2 * sizeof(std::uint32_t);

    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::array<std::byte, size_max> bytes;

    /// nullptr: no memory.
    [[nodiscard]] static std::unique_ptr<ByteChunk> create();

    [[nodiscard]] std::span<const std::byte> filled() const {
        return std::span(bytes).subspan(begin, end - begin);
    }

    [[nodiscard]] std::span<std::byte> room() { return std::span(bytes).subspan(end); }
};

static_assert(sizeof(ByteChunk) == 4096);

/// Not synchronised. Whoever takes may look at the first piece's bytes without the lock that guards the
/// queue, as long as nobody else takes: what is put meanwhile lies behind them.
class ByteQueue {
  public:
    ByteQueue() = default;
    ByteQueue(const ByteQueue&) = delete;
    ByteQueue& operator=(const ByteQueue&) = delete;

    ~ByteQueue() { clear(); }

    [[nodiscard]] std::size_t size() const { return size_; }

    /// Copies behind what is there; `fresh`, which is moved from then, is used where the last piece has no
    /// room. Returns how many bytes found room.
    std::size_t put(std::span<const std::byte> bytes, std::unique_ptr<ByteChunk>& fresh);

    /// The first bytes that lie together; empty where there are none.
    [[nodiscard]] std::span<const std::byte> front() const;

    /// The piece's bytes behind the first `skip`.
    [[nodiscard]] std::span<const std::byte> from(std::size_t skip) const;

    /// The first `count` bytes are done with. Gives back a piece of which nothing is left, so that it can be
    /// freed without the lock; at most front().size().
    [[nodiscard]] std::unique_ptr<ByteChunk> take(std::size_t count);

    void clear();

    void swap(ByteQueue& other) {
        chunks_.swap(other.chunks_);
        std::swap(size_, other.size_);
    }

  private:
    boost::intrusive::list<ByteChunk, boost::intrusive::constant_time_size<false>> chunks_;
    std::size_t size_ = 0;
};

}  // namespace pv::net
