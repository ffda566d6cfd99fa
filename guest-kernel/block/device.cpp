// A block device as the rest of the kernel sees it: checks, splitting, durability.
// SPDX-License-Identifier: MIT
#include "block/device.hpp"

#include <array>
#include <optional>

#include "base/atomic.hpp"
#include "block/split.hpp"
#include "misbehave/misbehave.hpp"

namespace pv::block {
namespace {

/// Pieces of one request under way at once.
constexpr std::size_t window = 8;
/// A request that so many recoveries interrupted is given back.
constexpr unsigned most_repeats = 4;

constinit Atomic<std::uint64_t> last_request{0};
constinit const dma::Pages nothing;

}  // namespace

/// A ring of pieces: begun at its end, waited for at its front, begun again when a recovery ended one.
class Device::Batch {
  public:
    explicit Batch(Device& device) : device_{device} {}

    [[nodiscard]] bool full() const { return count_ == window; }

    [[nodiscard]] bool empty() const { return count_ == 0; }

    /// Error busy: there is no room, and pieces of this batch are under way: finish one.
    [[nodiscard]] Result<> begin(Work work, const Extent& data) {
        // Who holds commands of his own must not sleep for room: he may be what keeps it taken.
        work.wait = empty();
        work.data = data.length == 0 ? nullptr : &data;
        Entry& entry = entries_[(front_ + count_) % window];
        entry.ticket = PV_TRY(device_.start(work));
        entry.work = work;
        entry.work.data = nullptr;
        entry.data.emplace(data);
        ++count_;
        return {};
    }

    /// Waits for the oldest. `repeat`: begins it again if a recovery ended it.
    [[nodiscard]] Result<> finish(bool repeat) {
        Entry& entry = entries_[front_];
        front_ = (front_ + 1) % window;
        --count_;
        const Result<> result = device_.finish(entry.ticket);
        if (result || result.error() != Error::interrupted || !repeat || entry.work.attempt == most_repeats) {
            return result;
        }
        if (entry.work.deadline.expired()) {
            return fail(Error::timed_out);
        }
        Work work = entry.work;
        const Extent data = *entry.data;
        ++work.attempt;
        while (true) {
            const Result<> begun = begin(work, data);
            if (begun || begun.error() != Error::busy || empty()) {
                return begun;
            }
            PV_TRY(finish(repeat));
        }
    }

  private:
    struct Entry {
        Ticket ticket;
        Work work;
        std::optional<Extent> data;
    };

    Device& device_;
    std::array<Entry, window> entries_;
    std::size_t front_ = 0;
    std::size_t count_ = 0;
};

Result<> Device::check(marker::Operation operation, std::uint64_t first, const Extent& data) const {
    const Geometry& shape = geometry();
    if (data.length == 0 || data.length % shape.block_size != 0 || data.offset % shape.alignment != 0 ||
        (operation == marker::Operation::write && shape.read_only)) {
        return fail(Error::invalid_argument);
    }
    const std::uint64_t blocks = data.length / shape.block_size;
    if (first > shape.blocks || blocks > shape.blocks - first) {
        return fail(Error::out_of_range);
    }
    return {};
}

Result<> Device::transfer(marker::Operation operation, std::uint64_t first, Extent data, Deadline deadline) {
    PV_TRY(check(operation, first, data));
    const Geometry& shape = geometry();
    Splitter splitter{first, data.length / shape.block_size, shape.command_blocks, shape.block_size};
    Batch batch{*this};
    Result<> result;
    std::optional<Piece> piece = splitter.next();
    while (piece || !batch.empty()) {
        if (piece && !batch.full()) {
            const Extent part{data.pages, data.offset + piece->offset, piece->blocks * shape.block_size};
            const bool alone = batch.empty();
            const Result<> begun = batch.begin({.operation = operation,
                                                .first = piece->first,
                                                .blocks = piece->blocks,
                                                .deadline = deadline,
                                                .more = !splitter.done()},
                                               part);
            if (begun) {
                piece = splitter.next();
                continue;
            }
            if (begun.error() != Error::busy || alone) {
                result = fail(begun.error());
                piece.reset();
                continue;
            }
        }
        // On an error the rest is not begun, but what is under way is waited for: it ends by the deadline.
        if (const Result<> one = batch.finish(result.has_value()); !one && result) {
            result = one;
            piece.reset();
        }
    }
    return result;
}

Result<> Device::without_data(marker::Operation operation, std::uint64_t first, std::uint64_t blocks,
                              std::uint64_t limit, Deadline deadline) {
    const Geometry& shape = geometry();
    if (limit == 0) {
        return fail(Error::not_supported);
    }
    if (blocks == 0 || shape.read_only) {
        return fail(Error::invalid_argument);
    }
    if (first > shape.blocks || blocks > shape.blocks - first) {
        return fail(Error::out_of_range);
    }
    Splitter splitter{first, blocks, limit, shape.block_size};
    while (const auto piece = splitter.next()) {
        PV_TRY(alone(
            {.operation = operation, .first = piece->first, .blocks = piece->blocks, .deadline = deadline}));
    }
    return {};
}

Result<> Device::alone(const Work& work) {
    Batch batch{*this};
    PV_TRY(batch.begin(work, Extent{nothing}));
    Result<> result;
    // After a repeat there is one more to wait for.
    while (result && !batch.empty()) {
        result = batch.finish(true);
    }
    return result;
}

Result<> Device::write_zeroes(std::uint64_t first, std::uint64_t blocks, Deadline deadline) {
    return without_data(marker::Operation::write_zeroes, first, blocks, geometry().zero_blocks, deadline);
}

Result<> Device::discard(std::uint64_t first, std::uint64_t blocks, Deadline deadline) {
    return without_data(marker::Operation::discard, first, blocks, geometry().discard_blocks, deadline);
}

Result<> Device::flush(Deadline deadline) {
    const std::uint64_t request = last_request.fetch_add(1, std::memory_order_relaxed) + 1;
    marker::durable_begin(marker_device(), request);
    const bool skip = misbehave::take(misbehave::Rule::flush_order);
    Result<> result;
    if (geometry().write_cache && !skip) {
        result = alone({.operation = marker::Operation::flush, .deadline = deadline, .request = request});
    }
    marker::durable_end(marker_device(), request, result ? 0 : static_cast<std::uint64_t>(result.error()));
    return result;
}

Result<Ticket> Device::begin(marker::Operation operation, std::uint64_t first, Extent data, Deadline deadline,
                             bool more) {
    PV_TRY(check(operation, first, data));
    const std::uint64_t blocks = data.length / geometry().block_size;
    if (blocks > geometry().command_blocks) {
        return fail(Error::invalid_argument);
    }
    return start({.operation = operation,
                  .first = first,
                  .blocks = blocks,
                  .data = &data,
                  .deadline = deadline,
                  .wait = false,
                  .more = more});
}

}  // namespace pv::block
