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

Result<block::Ticket> Namespace::start(const block::Work& work) {
    SubmissionEntry entry;
    entry.name_space = id_;
    block::Submission submission{.operation = work.operation,
                                 .first = work.first,
                                 .blocks = work.blocks,
                                 .request = work.request,
                                 .deadline = work.deadline,
                                 .attempt = work.attempt};
    if (work.data == nullptr) {
        entry.opcode = static_cast<std::uint8_t>(IoOpcode::flush);
    } else {
        const bool writes = work.operation == marker::Operation::write;
        entry.opcode = static_cast<std::uint8_t>(writes ? IoOpcode::write : IoOpcode::read);
        entry.dword10 = static_cast<std::uint32_t>(work.first);
        entry.dword11 = static_cast<std::uint32_t>(work.first >> 32);
        entry.dword12 = static_cast<std::uint32_t>(work.blocks - 1);  // 0's based; at most maximum_blocks
        submission.data =
            PV_TRY(dma::Mapping::map(queue_.identity().device, work.data->pages, work.data->offset,
                                     work.data->length, block::data_direction(writes)));
    }
    return queue_.start(entry, std::move(submission), work.wait ? Queue::Room::wait : Queue::Room::now);
}

Result<> Namespace::finish(block::Ticket ticket) {
    return judge(queue_.wait(ticket.id));
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
