// An NVMe namespace as a block device.
// SPDX-License-Identifier: MIT
#include "device/nvme/namespace.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/atomic.hpp"
#include "base/format.hpp"
#include "base/log.hpp"

namespace pv::nvme {
namespace {

/// Blocks of one Deallocate: what a range can name is more (32 bits), and takes some devices long.
constexpr std::uint64_t deallocate_blocks = std::uint64_t{1} << 20;
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
                           .zero_blocks = limits.write_zeroes ? maximum_blocks : 0,
                           .discard_blocks = limits.deallocate ? deallocate_blocks : 0,
                           .write_cache = limits.write_cache,
                           .read_only = false};
}

Namespace::Namespace(Service& service, std::uint32_t id, const block::Geometry& geometry)
    : service_{service}, geometry_{geometry}, id_{id} {
    name_length_ = format::to(name_, "{}n{}", service.name(), id).size();
}

block::CommandCounts Namespace::counts() {
    block::CommandCounts sum;
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        sum.add(service_.queue(i).counts());
    }
    return sum;
}

Result<block::Ticket> Namespace::start(const block::Work& work) {
    const std::uint16_t index = service_.for_this_cpu();
    Queue& queue = service_.queue(index);
    const auto room = work.wait ? Queue::Room::wait : Queue::Room::now;
    SubmissionEntry entry;
    entry.name_space = id_;
    entry.dword10 = static_cast<std::uint32_t>(work.first);
    entry.dword11 = static_cast<std::uint32_t>(work.first >> 32);
    entry.dword12 = static_cast<std::uint32_t>(work.blocks - 1);  // 0's based; at most maximum_blocks
    block::Submission submission{.operation = work.operation,
                                 .first = work.first,
                                 .blocks = work.blocks,
                                 .request = work.request,
                                 .deadline = work.deadline,
                                 .attempt = work.attempt,
                                 .more = work.more};
    IoOpcode opcode = IoOpcode::flush;
    DatasetRange range;
    Queue::Extra extra{.retired = &retired_};
    switch (work.operation) {
        case marker::Operation::read:
        case marker::Operation::write: {
            const bool writes = work.operation == marker::Operation::write;
            opcode = writes ? IoOpcode::write : IoOpcode::read;
            submission.data = PV_TRY(dma::Mapping::map(service_.device(), work.data->pages, work.data->offset,
                                                       work.data->length, block::data_direction(writes),
                                                       work.room_until()));
            break;
        }
        case marker::Operation::write_zeroes:
            opcode = IoOpcode::write_zeroes;
            break;
        case marker::Operation::discard:
            opcode = IoOpcode::dataset_management;
            entry.dword10 = 0U;  // one range, 0's based
            entry.dword11 = dataset_deallocate;
            entry.dword12 = 0U;
            range.first = work.first;
            range.blocks = static_cast<std::uint32_t>(work.blocks);
            extra.range = &range;
            break;
        default:
            entry.dword10 = entry.dword11 = entry.dword12 = 0U;
            break;
    }
    entry.opcode = static_cast<std::uint8_t>(opcode);
    return block::Ticket{PV_TRY(queue.start(entry, std::move(submission), room, extra)), index};
}

bool Namespace::has_ended(block::Ticket ticket) {
    return service_.queue(ticket.queue).has_ended(ticket.id);
}

Result<> Namespace::finish(block::Ticket ticket) {
    return judge(service_.queue(ticket.queue).wait(ticket.id));
}

Result<> Namespace::judge(const Result<block::Outcome>& outcome) {
    if (!outcome) {
        return fail(outcome.error());
    }
    if ((outcome->status & status_code_mask) == status_success) {
        return {};
    }
    const std::uint16_t code = outcome->status & status_code_mask;
    if (code == status_aborted_by_request || code == status_aborted_by_deletion) {
        return fail(Error::interrupted);
    }
    if (failures_.fetch_add(1, std::memory_order_relaxed) < failure_log_limit) {
        log::warning("{}: the device failed a command: status {:#x}", name(), code);
    }
    return fail(Error::io);
}

}  // namespace pv::nvme
