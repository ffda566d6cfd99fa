// A block device as the rest of the kernel sees it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/deadline.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "block/command_table.hpp"
#include "device/dma/mapping.hpp"
#include "device/dma/pages.hpp"
#include "misbehave/misbehave.hpp"

namespace pv::block {

/// What the device said about itself, checked. Fixed while the device is in service.
struct Geometry {
    std::uint64_t blocks = 0;
    std::size_t block_size = 512;      ///< bytes, a power of two, 512 or more
    std::size_t alignment = 4;         ///< a buffer's offset in its pages is a multiple of this
    std::uint64_t command_blocks = 1;  ///< most blocks one command carries; longer requests are split
    bool write_cache = false;          ///< a completed write may still be lost: `flush` is what makes it last
    bool read_only = false;

    [[nodiscard]] std::uint64_t bytes() const { return blocks * block_size; }
};

/// Part of some pages that data is moved to or from.
struct Extent {
    const dma::Pages& pages;
    std::size_t offset = 0;
    std::size_t length = 0;
};

/// How the data of a read or a write is mapped.
[[nodiscard]] inline dma::Direction data_direction(bool writes) {
    if (misbehave::take(misbehave::Rule::dma_direction)) {
        return writes ? dma::Direction::from_device : dma::Direction::to_device;
    }
    return writes ? dma::Direction::to_device : dma::Direction::from_device;
}

/// All calls are synchronous and for threads; any number of threads may call at once. A request of any length
/// is split by the device's limits, and its pieces are under way together.
///
/// A DEADLINE is kept with the slack the kernel promises (marker hello): the caller has its answer by then.
/// After timed_out the device may still read or write the pages it was given. They are then in quarantine:
/// they are not freed and cannot be given to a device again until the device is done, so drop them and take
/// others; what is in them, or on the disk there, is undefined.
///
/// Errors of all: timed_out; io (the device reported a failure); device_failed (it was given up);
/// out_of_range (beyond the end); invalid_argument (empty, not whole blocks, misaligned, or a write to a
/// read-only device); busy (the pages are in quarantine).
class Device {
  public:
    Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    virtual ~Device() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;
    [[nodiscard]] virtual const Geometry& geometry() const = 0;

    /// Reads `to.length` bytes from block `first` on.
    [[nodiscard]] Result<> read(std::uint64_t first, Extent to, Deadline deadline) {
        return transfer(marker::Operation::read, first, to, deadline);
    }

    /// Writes `from.length` bytes from block `first` on. Completed is not durable: see flush.
    [[nodiscard]] Result<> write(std::uint64_t first, Extent from, Deadline deadline) {
        return transfer(marker::Operation::write, first, from, deadline);
    }

    /// Makes every write that completed before durable. Emits durable_begin and durable_end.
    [[nodiscard]] Result<> flush(Deadline deadline);

    /// Counts of its I/O queues.
    [[nodiscard]] virtual CommandCounts counts() = 0;

    [[nodiscard]] virtual marker::Device marker_device() const = 0;
    [[nodiscard]] virtual marker::DeviceKind kind() const = 0;

  protected:
    /// Hands one piece to the device without sleeping for room unless `wait` is set.
    [[nodiscard]] virtual Result<CommandId> start(marker::Operation operation, std::uint64_t first,
                                                  std::uint64_t blocks, Extent data, Deadline deadline,
                                                  bool wait) = 0;
    /// Waits for a piece.
    [[nodiscard]] virtual Result<> finish(CommandId id) = 0;
    /// Sends the device's own flush, on behalf of `request`, where it has a cache.
    [[nodiscard]] virtual Result<> flush_cache(std::uint64_t request, Deadline deadline) = 0;

  private:
    [[nodiscard]] Result<> transfer(marker::Operation operation, std::uint64_t first, Extent data,
                                    Deadline deadline);
};

}  // namespace pv::block
