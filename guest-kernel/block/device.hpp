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
    std::uint64_t zero_blocks = 0;     ///< most blocks of one write-zeroes command; 0: not offered
    std::uint64_t discard_blocks = 0;  ///< most blocks of one discard command; 0: not offered
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

/// One piece of a request, on its way to the device.
struct Work {
    marker::Operation operation = marker::Operation::other;
    std::uint64_t first = 0;
    std::uint64_t blocks = 0;      ///< at most what the geometry says for the operation; 0 for a flush
    const Extent* data = nullptr;  ///< of a read or a write
    Deadline deadline = Deadline::at(Instant{});
    std::uint64_t request = 0;  ///< as in durable_begin, or 0
    unsigned attempt = 0;       ///< how often it was begun before
    bool wait = true;           ///< may sleep for room
    bool more = false;          ///< as Submission::more

    /// Until when room is waited for: a time that has passed for who may not sleep.
    [[nodiscard]] Deadline room_until() const { return wait ? deadline : Deadline::at(Instant{}); }
};

/// A piece that is under way, on one of the device's queues.
struct Ticket {
    Ticket() = default;

    Ticket(CommandId command, std::uint16_t on = 0) : id{command}, queue{on} {}

    CommandId id;
    std::uint16_t queue = 0;
};

/// Calls are synchronous and for threads; any number of threads may call at once. A request of any length
/// is split by the device's limits, and its pieces are under way together.
///
/// A DEADLINE is kept with the slack the kernel promises (marker hello): the caller has its answer by then.
/// After timed_out the device may still read or write the pages it was given. They are then in quarantine:
/// they are not freed and cannot be given to a device again until the device is done, so drop them and take
/// others; what is in them, or on the disk there, is undefined.
///
/// REPEATS. A recovery (a queue made again, a reset) ends commands whose callers still wait. The device is
/// then proven to be done with them, and all operations here can be carried out twice with the same effect,
/// so they are begun again, with what is left of their deadline, a few times at most. A request whose caller
/// was told timed_out is never repeated.
///
/// Errors of all: timed_out; io (the device reported a failure); device_failed (it was given up);
/// interrupted (recoveries ended it as often as it is repeated); out_of_range (beyond the end);
/// invalid_argument (empty, not whole blocks, misaligned, or a change of a read-only device); busy (the pages
/// are in quarantine); not_supported (an operation the device does not offer).
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

    /// Makes `blocks` blocks (> 0) read as zeros, without carrying them. Not durable: see flush.
    [[nodiscard]] Result<> write_zeroes(std::uint64_t first, std::uint64_t blocks, Deadline deadline);

    /// Tells the device that the content of `blocks` blocks (> 0) is not needed: afterwards it is undefined.
    [[nodiscard]] Result<> discard(std::uint64_t first, std::uint64_t blocks, Deadline deadline);

    /// Makes every write that completed before durable. Emits durable_begin and durable_end. Nothing is sent
    /// to a device that has no volatile cache.
    [[nodiscard]] Result<> flush(Deadline deadline);

    /// Begins a read or write of one command's length at most, for who keeps several under way; `end` waits
    /// for it, once, and repeats nothing. `more`: another one, or an `end`, follows at once: the device may
    /// hear of this one then. Errors: as above, and busy when there is no room now.
    [[nodiscard]] Result<Ticket> begin(marker::Operation operation, std::uint64_t first, Extent data,
                                       Deadline deadline, bool more = false);

    /// Whether `end` would return at once.
    [[nodiscard]] virtual bool has_ended(Ticket ticket) = 0;

    [[nodiscard]] Result<> end(Ticket ticket) { return finish(ticket); }

    /// Counts of its I/O queues.
    [[nodiscard]] virtual CommandCounts counts() = 0;

    [[nodiscard]] virtual marker::Device marker_device() const = 0;
    [[nodiscard]] virtual marker::DeviceKind kind() const = 0;

  protected:
    /// Hands one piece to the device. Error busy: no room, and the work must not wait for it.
    [[nodiscard]] virtual Result<Ticket> start(const Work& work) = 0;
    /// Waits for a piece. Error interrupted: a recovery ended it, and the device is done with it.
    [[nodiscard]] virtual Result<> finish(Ticket ticket) = 0;

  private:
    /// Pieces of one request that are under way.
    class Batch;

    [[nodiscard]] Result<> transfer(marker::Operation operation, std::uint64_t first, Extent data,
                                    Deadline deadline);
    [[nodiscard]] Result<> without_data(marker::Operation operation, std::uint64_t first,
                                        std::uint64_t blocks, std::uint64_t limit, Deadline deadline);
    /// One piece without data, from its start to its end, repeats included.
    [[nodiscard]] Result<> alone(const Work& work);
    [[nodiscard]] Result<> check(marker::Operation operation, std::uint64_t first, const Extent& data) const;
};

}  // namespace pv::block
