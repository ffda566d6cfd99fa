// Memory devices may be given: contiguous frames that are freed when the last holder lets go.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/address.hpp"
#include "base/result.hpp"

namespace pv::dma {

/// Shared ownership of physically contiguous, zeroed frames. A mapping holds one, so the frames cannot go
/// back to the allocator while a device may touch them, whoever else forgets them. Copies are cheap; any
/// thread and interrupt handlers may copy and drop them.
class Pages {
  public:
    /// No memory.
    constexpr Pages() = default;

    /// At least `length` bytes (length > 0), aligned to their size rounded up to a power of two, at most to
    /// what the frame allocator gives. Errors: out_of_memory.
    [[nodiscard]] static Result<Pages> allocate(std::size_t length);

    /// The same for data that devices shall reach without a copy: where data goes through the bounce pool it
    /// is of the pool, aligned to a page, and a mapping of it is the memory itself. When there is no room
    /// left for such memory (bounce::take_lasting) it is as of allocate: it works, and is copied.
    [[nodiscard]] static Result<Pages> allocate_in_place(std::size_t length);

    Pages(const Pages& other);

    Pages(Pages&& other) noexcept : block_{std::exchange(other.block_, nullptr)} {}

    Pages& operator=(Pages other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }

    ~Pages();

    explicit operator bool() const { return block_ != nullptr; }

    /// The bytes, as the kernel sees them: whole frames, so at least as many as asked for.
    [[nodiscard]] std::span<std::byte> bytes() const;

    [[nodiscard]] PhysicalAddress physical() const;

    /// Some device whose command timed out may still touch them: they cannot be mapped again until it is
    /// done.
    [[nodiscard]] bool quarantined() const;

    // For Mapping alone.
    [[nodiscard]] bool in_pool() const;
    void enter_quarantine();
    void leave_quarantine();

    /// Gives this reference to nobody: the frames are never freed.
    void leak();

    /// What holds them, shared by all copies.
    struct Block;

  private:
    explicit Pages(Block* block) : block_{block} {}

    Block* block_ = nullptr;
};

}  // namespace pv::dma
