// A block device as the rest of the kernel sees it: checks, splitting, durability.
// SPDX-License-Identifier: MIT
#include "block/device.hpp"

#include <array>
#include <atomic>

#include "block/split.hpp"
#include "misbehave/misbehave.hpp"

namespace pv::block {
namespace {

/// Pieces of one request under way at once.
constexpr std::size_t window = 8;

constinit std::atomic<std::uint64_t> last_request{0};

}  // namespace

Result<> Device::transfer(marker::Operation operation, std::uint64_t first, Extent data, Deadline deadline) {
    const Geometry& shape = geometry();
    if (data.length == 0 || data.length % shape.block_size != 0 || data.offset % shape.alignment != 0 ||
        (operation == marker::Operation::write && shape.read_only)) {
        return fail(Error::invalid_argument);
    }
    const std::uint64_t blocks = data.length / shape.block_size;
    if (first > shape.blocks || blocks > shape.blocks - first) {
        return fail(Error::out_of_range);
    }
    Splitter splitter{first, blocks, shape.command_blocks, shape.block_size};
    std::array<CommandId, window> under_way;
    std::size_t begun = 0;
    std::size_t ended = 0;
    Result<> result;
    std::optional<Piece> piece = splitter.next();
    while (piece || ended < begun) {
        if (piece && begun - ended < window) {
            const Extent part{data.pages, data.offset + piece->offset, piece->blocks * shape.block_size};
            // Who holds commands of his own must not sleep for room: he may be what keeps it taken.
            const Result<CommandId> id =
                start(operation, piece->first, piece->blocks, part, deadline, begun == ended);
            if (id) {
                under_way[begun++ % window] = *id;
                piece = splitter.next();
                continue;
            }
            if (id.error() != Error::busy || begun == ended) {
                result = fail(id.error());
                piece.reset();
                continue;
            }
        }
        // On an error the rest is not begun, but what is under way is waited for: it ends by the deadline.
        if (const Result<> one = finish(under_way[ended++ % window]); !one && result) {
            result = one;
            piece.reset();
        }
    }
    return result;
}

Result<> Device::flush(Deadline deadline) {
    const std::uint64_t request = last_request.fetch_add(1, std::memory_order_relaxed) + 1;
    marker::durable_begin(marker_device(), request);
    const bool skip = misbehave::take(misbehave::Rule::flush_order);
    const Result<> result = geometry().write_cache && !skip ? flush_cache(request, deadline) : Result<>{};
    marker::durable_end(marker_device(), request, result ? 0 : static_cast<std::uint64_t>(result.error()));
    return result;
}

}  // namespace pv::block
