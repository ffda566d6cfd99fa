// The request queue of a virtio-blk device in service.
// SPDX-License-Identifier: MIT
#include "device/virtio/block_queue.hpp"

#include <new>
#include <optional>
#include <utility>

#include "base/log.hpp"
#include "device/virtio/misbehave.hpp"

namespace pv::virtio {
namespace {

/// Lies about lengths that are logged one by one.
constexpr std::uint64_t lie_log_limit = 8;

Shared shared(const dma::Buffer& buffer) {
    return buffer ? Shared{buffer.bytes(), buffer.bus()} : Shared{};
}

}  // namespace

Result<std::unique_ptr<BlockQueue>> BlockQueue::create(block::QueueIdentity identity,
                                                       const RequestShape& shape, std::size_t block_size) {
    using dma::Direction;
    using dma::UntoldBuffer;
    const std::size_t table = SplitRing::table_bytes(shape.entries);
    const std::size_t available = SplitRing::available_bytes(shape.entries);
    UntoldBuffer rings =
        PV_TRY(UntoldBuffer::allocate(identity.device, table + available, Direction::to_device));
    // The device writes it, and may read back what it wrote (QEMU changes single bits of its flags).
    UntoldBuffer used = PV_TRY(UntoldBuffer::allocate(identity.device, SplitRing::used_bytes(shape.entries),
                                                      Direction::bidirectional));
    UntoldBuffer headers = PV_TRY(
        UntoldBuffer::allocate(identity.device, shape.slots * sizeof(BlockHeader), Direction::to_device));
    UntoldBuffer statuses =
        PV_TRY(UntoldBuffer::allocate(identity.device, shape.slots, Direction::from_device));
    UntoldBuffer tables;
    if (shape.indirect) {
        tables = PV_TRY(UntoldBuffer::allocate(
            identity.device, shape.slots * shape.chain() * sizeof(Descriptor), Direction::to_device));
    }
    const SplitRing ring = PV_TRY(SplitRing::create(
        rings->bytes().first(table), rings->bytes().subspan(table), used->bytes(), shape.entries));
    const RequestRing requests{ring, shape, {shared(*headers), shared(*statuses), shared(*tables)}};
    // Without memory for the queue, none of the buffers is taken.
    std::unique_ptr<BlockQueue> queue{new (std::nothrow) BlockQueue{
        identity, requests, Memory{rings.take(), used.take(), headers.take(), statuses.take(), tables.take()},
        block_size}};
    if (queue == nullptr) {
        return fail(Error::out_of_memory);
    }
    return queue;
}

QueueAreas BlockQueue::announce() const {
    const QueueAreas areas{memory_.rings.bus(),
                           memory_.rings.bus() + SplitRing::table_bytes(ring_.shape().entries),
                           memory_.used.bus()};
    marker::queue_areas(identity().device, identity().number, areas.driver, areas.device);
    marker::queue_create(identity().device, marker::QueueKind::virtio_split, identity().number,
                         ring_.shape().entries, areas.table);
    return areas;
}

Result<block::CommandId> BlockQueue::start(BlockRequest type, block::Submission&& submission, Room room) {
    const bool reads = type == BlockRequest::read;
    // Of its writable part the device fills the data of a read, and always the status.
    submission.expected =
        static_cast<std::uint32_t>((reads && submission.data ? submission.data.length() : 0) + 1);
    return submit(std::move(submission), room, [&](block::CommandId id, const block::Command& command) {
        const std::size_t slot = block::CommandTable::Slots::slot_of(id);
        RequestData data =
            command.data ? RequestData{command.data.bus(), command.data.length(), reads} : RequestData{};
        misbehave_with_data(data);
        const Result<> written = ring_.write(slot, type, command.first * (block_size_ / sector_size), data);
        misbehave_with_table(ring_.ring().descriptor(slot), shared(memory_.tables));
        return written;
    });
}

void BlockQueue::publish(block::CommandId id) {
    const std::size_t slot = block::CommandTable::Slots::slot_of(id);
    std::uint16_t index = ring_.make_available(slot);
    if (misbehave::take(misbehave::Rule::cmd_duplicate)) {
        submit_twice(id);
        index = ring_.make_available(slot);
        surplus_ = 1;
    }
    // Rung each time, whatever the device says about wanting it: that is a hint (2.7.10), and a watcher that
    // reads the ring at each doorbell sees each chain.
    marker::doorbell(identity().device, marker::QueueKind::virtio_split, identity().number, index);
    doorbell_.ring(identity().number);
}

void BlockQueue::drain() {
    // At most one pass of the ring a call: a device that keeps it full cannot hold the processor here.
    for (std::size_t i = 0; i < ring_.shape().entries; ++i) {
        const std::optional<Used> used = ring_.next_used(owed_locked() + surplus_);
        if (!used) {
            break;
        }
        const auto wire = static_cast<std::uint16_t>(used->id);
        if (used->id >= ring_.shape().slots) {
            refuse(used->id, "there is no such chain");
            continue;
        }
        const block::Command* command = outstanding(wire);
        if (command == nullptr) {
            arrived(wire, 0, 0);  // which refuses it
            continue;
        }
        std::uint8_t status = ring_.status(wire);
        const bool reads = command->operation == marker::Operation::read;
        const bool good = status == static_cast<std::uint8_t>(BlockStatus::ok);
        // More than the chain has room for, or a read that is said to be good and is not all there: not
        // believed.
        if (used->length > command->expected || (reads && good && used->length < command->expected)) {
            if (++lies_ <= lie_log_limit) {
                log::error("{}: says it wrote {} bytes where {} were due on queue {}: the request fails",
                           identity().name, used->length, command->expected, identity().number);
            }
            status = static_cast<std::uint8_t>(BlockStatus::io_error);
        }
        arrived(wire, status, used->length);
    }
    if (ring_.broken()) {
        close_locked("its used index moved by more than what is outstanding");
    }
}

void BlockQueue::release() {
    end_all();
    marker::queue_delete(identity().device, marker::QueueKind::virtio_split, identity().number);
    memory_.rings.release();
    memory_.used.release();
    memory_.headers.release();
    memory_.statuses.release();
    memory_.tables.release();
}

}  // namespace pv::virtio
