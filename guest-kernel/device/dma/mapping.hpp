// dma::Mapping: the only thing that gives a device an address.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.hpp"
#include "base/deadline.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "device/dma/bounce.hpp"
#include "device/dma/pages.hpp"

namespace pv::iommu {
class Domain;
}

namespace pv::dma {

/// What the device may do with the memory.
using Direction = marker::Direction;

/// Who reads and writes: the device's PCI address.
using Requester = marker::Device;

/// Live mappings of all devices, for the figures at the end and for tests.
struct Statistics {
    std::uint64_t mapped = 0;       ///< ever
    std::uint64_t live = 0;         ///< now, those in quarantine included
    std::uint64_t quarantined = 0;  ///< now
    std::uint64_t abandoned = 0;    ///< destroyed while live: their memory never goes back
};

[[nodiscard]] Statistics statistics();

/// One range of memory a device may use, from `map` to `unmap`. Move-only. Holds its memory: the frames
/// cannot return to the allocator while the mapping lives. A mapping that is destroyed without `unmap` was
/// never proven quiet, so its memory is kept for good and counted (Statistics::abandoned): a leak, never a
/// use after free. Any context; not synchronised, its owner's lock is.
class Mapping {
  public:
    /// Maps nothing.
    constexpr Mapping() = default;

    /// The device `requester` may from now on use `length` bytes (> 0) from `offset` into `pages`. Emits
    /// dma_map. Behind an IOMMU the bus address is one of the device's domain. Without one the device works
    /// on a copy in the bounce pool (but for Pages::allocate_in_place): what it writes is in the pages after
    /// `unmap`, and what the kernel writes there meanwhile the device does not see. When the pool is used up,
    /// waits until `deadline` (threads only, no spinlock held); the default only looks. Errors:
    /// invalid_argument when the range is not inside the pages; busy when the pages are in quarantine, or the
    /// pool is used up and was only looked at; timed_out when it was used up until the deadline; out_of_range
    /// (longer than the pool); device_failed when the IOMMU cut the device off; not_supported for a device
    /// that is behind an IOMMU and has no domain; out_of_memory.
    [[nodiscard]] static Result<Mapping> map(Requester requester, const Pages& pages, std::size_t offset,
                                             std::size_t length, Direction direction,
                                             Deadline deadline = Deadline::at(Instant{}));

    /// The same for memory that kernel and device look at together while it is mapped: never a copy.
    [[nodiscard]] static Result<Mapping> share(Requester requester, const Pages& pages, std::size_t offset,
                                               std::size_t length, Direction direction);

    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    /// The device is done with it: it completed the command, or it is quiet. Behind an IOMMU it cannot reach
    /// the memory any more when this returns. Emits dma_unmap and lets go of the memory. Nothing happens when
    /// it is not mapped.
    void unmap();

    /// Its owner gave up on the memory, which the device may still touch: it stays mapped until `unmap`.
    /// Emits dma_quarantine. The owner's pages are free at once where the device works on a copy: what it
    /// still writes never reaches them.
    void quarantine();

    /// Breaks dma-after-unmap on purpose: says that it ended, while the device goes on (misbehave/).
    void end_early();

    /// The bytes that the device works on, for who touches them while it does (misbehave/).
    [[nodiscard]] std::span<std::byte> owned_bytes();

    explicit operator bool() const { return id_ != 0; }

    [[nodiscard]] bool quarantined() const { return quarantined_; }

    [[nodiscard]] std::uint64_t id() const { return id_; }

    [[nodiscard]] BusAddress bus() const { return bus_; }

    [[nodiscard]] std::size_t length() const { return length_; }

    [[nodiscard]] Direction direction() const { return direction_; }

    [[nodiscard]] Requester requester() const { return requester_; }

  private:
    [[nodiscard]] static Result<> check(const Pages& pages, std::size_t offset, std::size_t length);
    /// What map and share have in common: `physical` is what the device uses.
    [[nodiscard]] static Result<Mapping> give(Requester requester, const Pages& pages,
                                              PhysicalAddress physical, std::size_t length,
                                              Direction direction);
    void copy_back();
    void abandon();
    void keep_for_good();

    Pages pages_;
    iommu::Domain* domain_ = nullptr;  ///< null: the bus address is the physical one
    bounce::Slice slice_{};            ///< the copy the device works on; empty: it works on the pages
    std::size_t offset_ = 0;           ///< into the pages
    BusAddress bus_{};
    std::size_t length_ = 0;
    std::uint64_t id_ = 0;  ///< unique for the guest's life; 0 = not mapped
    Requester requester_{};
    Direction direction_ = Direction::bidirectional;
    bool quarantined_ = false;
    bool ended_early_ = false;
};

}  // namespace pv::dma
