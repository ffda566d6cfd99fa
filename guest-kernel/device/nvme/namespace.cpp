// An NVMe namespace as a block device.
// SPDX-License-Identifier: MIT
#include "device/nvme/namespace.hpp"

#include <algorithm>
#include <atomic>
#include <bit>

#include "base/format.hpp"
#include "base/log.hpp"

namespace pv::nvme {
namespace {

/// Failures that are logged one by one.
constexpr std::uint64_t failure_log_limit = 8;

}  // namespace

std::size_t transfer_limit(std::uint8_t mdts, unsigned minimum_page_shift) {
    const std::size_t describable = longest_transfer(prp_entries_per_page, page_shift);
    const unsigned shift = mdts + minimum_page_shift;
    return mdts == 0 || shift >= static_cast<unsigned>(std::bit_width(describable)) ? describable
                                                                                    : std::size_t{1} << shift;
}

Result<block::Geometry> geometry_of(const IdentifyNamespace& data, const Limits& limits) {
    const std::uint64_t blocks = data.size;
    if (blocks == 0) {
        return fail(Error::not_found);
    }
    // FLBAS: four low bits, and two more above the metadata bit where there are more than 16 formats.
    const unsigned high = data.format_count >= 16 ? static_cast<unsigned>(data.current_format >> 5 & 3) : 0;
    const unsigned index = high << 4 | (data.current_format & 0xf);
    if (index > data.format_count || index >= data.formats.size()) {
        return fail(Error::corrupt);
    }
    const LbaFormat& format = data.formats[index];
    if (format.metadata_bytes != 0 || format.data_shift < 9 || format.data_shift > 16) {
        return fail(Error::not_supported);
    }
    const std::size_t block_size = std::size_t{1} << format.data_shift;
    if (blocks > ~std::uint64_t{0} / block_size) {
        return fail(Error::corrupt);
    }
    const std::uint64_t per_command = std::min<std::uint64_t>(limits.transfer / block_size, maximum_blocks);
    if (per_command == 0) {
        return fail(Error::not_supported);
    }
    return block::Geometry{.blocks = blocks,
                           .block_size = block_size,
                           .alignment = 4,
                           .command_blocks = per_command,
                           .write_cache = limits.write_cache,
                           .read_only = false};
}

Namespace::Namespace(std::string_view controller, std::uint32_t id, const block::Geometry& geometry,
                     Queue& queue)
    : queue_{queue}, geometry_{geometry}, id_{id} {
    name_length_ = format::to(name_, "{}n{}", controller, id).size();
}

Result<block::CommandId> Namespace::start(marker::Operation operation, std::uint64_t first,
                                          std::uint64_t blocks, block::Extent data, Deadline deadline,
                                          bool wait) {
    const bool writes = operation == marker::Operation::write;
    SubmissionEntry entry;
    entry.opcode = static_cast<std::uint8_t>(writes ? IoOpcode::write : IoOpcode::read);
    entry.name_space = id_;
    entry.dword10 = static_cast<std::uint32_t>(first);
    entry.dword11 = static_cast<std::uint32_t>(first >> 32);
    entry.dword12 = static_cast<std::uint32_t>(blocks - 1);  // 0's based; at most maximum_blocks
    block::Submission submission{
        .operation = operation, .first = first, .blocks = blocks, .deadline = deadline};
    submission.data = PV_TRY(dma::Mapping::map(queue_.identity().device, data.pages, data.offset, data.length,
                                               block::data_direction(writes)));
    return queue_.start(entry, std::move(submission), wait ? Queue::Room::wait : Queue::Room::now);
}

Result<> Namespace::finish(block::CommandId id) {
    return judge(queue_.wait(id));
}

Result<> Namespace::flush_cache(std::uint64_t request, Deadline deadline) {
    SubmissionEntry entry;
    entry.opcode = static_cast<std::uint8_t>(IoOpcode::flush);
    entry.name_space = id_;
    return judge(
        queue_.run(entry, {.operation = marker::Operation::flush, .request = request, .deadline = deadline}));
}

Result<> Namespace::judge(const Result<block::Outcome>& outcome) {
    if (!outcome) {
        return fail(outcome.error());
    }
    if ((outcome->status & status_code_mask) == status_success) {
        return {};
    }
    if (failures_.fetch_add(1, std::memory_order_relaxed) < failure_log_limit) {
        log::warning("{}: the device failed a command: status {:#x}", name(),
                     outcome->status & status_code_mask);
    }
    return fail(Error::io);
}

}  // namespace pv::nvme
