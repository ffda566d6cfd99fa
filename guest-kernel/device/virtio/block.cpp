// A virtio-blk device: its requests.
// SPDX-License-Identifier: MIT
#include "device/virtio/block.hpp"

#include <new>
#include <utility>

#include "arch/processor.hpp"
#include "base/log.hpp"
#include "device/virtio/spec.hpp"
#include "misbehave/device_fault.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

constexpr std::uint64_t failure_log_limit = 8;

}  // namespace

Block::Block(pci::Function function, unsigned number, const Patience& patience, const BlockOptions& options)
    : ServiceDevice{function, "virtio-blk", number, patience}, options_{options} {}

Block::~Block() = default;

Result<std::unique_ptr<block::Controller>> Block::create(pci::Function function, unsigned number,
                                                         const Patience& patience,
                                                         const BlockOptions& options) {
    std::unique_ptr<Block> block{new (std::nothrow) Block{function, number, patience, options}};
    if (block == nullptr) {
        return fail(Error::out_of_memory);
    }
    if (const Result<> up = block->bring_up(); !up) {
        log::error("{}: not usable: {}", block->name(), up.error());
        block->shut_down(Deadline::after(1_s));
        return fail(up.error());
    }
    return std::unique_ptr<block::Controller>{std::move(block)};
}

void Block::raise_queue(void* queue) {
    if (!misbehave::happens(misbehave::DeviceFault::lost_interrupt)) {
        static_cast<BlockQueue*>(queue)->interrupt();
    }
}

Result<block::Ticket> Block::start(const block::Work& work) {
    const auto index = static_cast<std::uint16_t>(arch::current_cpu() % queue_count());
    BlockQueue& queue = this->queue(index);
    block::Submission submission{.operation = work.operation,
                                 .first = work.first,
                                 .blocks = work.blocks,
                                 .request = work.request,
                                 .deadline = work.deadline,
                                 .attempt = work.attempt,
                                 .more = work.more};
    const auto room = work.wait ? BlockQueue::Room::wait : BlockQueue::Room::now;
    const std::uint64_t sectors = geometry_.block_size / sector_size;
    BlockRange range;
    range.sector = work.first * sectors;
    range.sectors = static_cast<std::uint32_t>(work.blocks * sectors);  // at most what the device takes
    range.flags = 0U;
    switch (work.operation) {
        case marker::Operation::read:
        case marker::Operation::write: {
            const bool writes = work.operation == marker::Operation::write;
            submission.data = PV_TRY(dma::Mapping::map(marker_device(), work.data->pages, work.data->offset,
                                                       work.data->length, block::data_direction(writes),
                                                       work.room_until()));
            transport().misbehave();
            return block::Ticket{PV_TRY(queue.start(writes ? BlockRequest::write : BlockRequest::read,
                                                    std::move(submission), room)),
                                 index};
        }
        case marker::Operation::discard:
            return block::Ticket{
                PV_TRY(queue.start(BlockRequest::discard, std::move(submission), room, &range)), index};
        case marker::Operation::write_zeroes:
            return block::Ticket{
                PV_TRY(queue.start(BlockRequest::write_zeroes, std::move(submission), room, &range)), index};
        default:
            return block::Ticket{PV_TRY(queue.start(BlockRequest::flush, std::move(submission), room)),
                                 index};
    }
}

Result<> Block::finish(block::Ticket ticket) {
    const auto outcome = queue(ticket.queue).wait(ticket.id);
    if (!outcome) {
        return fail(outcome.error());
    }
    if (outcome->status != static_cast<std::uint8_t>(BlockStatus::ok)) {
        if (failures_.fetch_add(1, std::memory_order_relaxed) < failure_log_limit) {
            log::warning("{}: the device failed a request: status {}", name(), outcome->status);
        }
        return fail(Error::io);
    }
    return {};
}

void Block::configuration_changed() {
    const auto current = read_configuration();
    if (!current) {
        log::error("{}: its configuration cannot be read: {}", name(), current.error());
    } else if (current->capacity != configuration_.capacity) {
        // Who uses it was told its size; what lies beyond the new one fails by itself.
        log::warning("{}: its capacity went from {} to {} sectors; it is used as it was", name(),
                     configuration_.capacity, current->capacity);
        configuration_.capacity = current->capacity;
    }
}

}  // namespace pv::virtio
