// The request queue of a virtio-blk device in service.
// SPDX-License-Identifier: MIT
#include "device/virtio/block_queue.hpp"

#include <algorithm>
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

/// Where the parts of a ring lie, and how long they are.
struct Layout {
    std::size_t table = 0;
    std::size_t driver_area = 0;  ///< behind the table
    std::size_t device_area = 0;
};

Layout layout_of(std::size_t entries, bool packed) {
    if (packed) {
        return {PackedRing::table_bytes(entries), PackedRing::event_bytes, PackedRing::event_bytes};
    }
    return {SplitRing::table_bytes(entries), SplitRing::available_bytes(entries),
            SplitRing::used_bytes(entries)};
}

}  // namespace

Result<std::unique_ptr<BlockQueue>> BlockQueue::create(block::QueueIdentity identity,
                                                       const RequestShape& shape, std::size_t block_size,
                                                       RingKind kind, Duration patience) {
    using dma::Direction;
    using dma::UntoldBuffer;
    const Layout layout = layout_of(shape.entries, kind.packed);
    // Of a packed ring the device changes the descriptors themselves.
    UntoldBuffer rings =
        PV_TRY(UntoldBuffer::allocate(identity.device, layout.table + layout.driver_area,
                                      kind.packed ? Direction::bidirectional : Direction::to_device));
    // The device writes it, and may read back what it wrote (QEMU changes single bits of its flags).
    UntoldBuffer used =
        PV_TRY(UntoldBuffer::allocate(identity.device, layout.device_area, Direction::bidirectional));
    UntoldBuffer headers = PV_TRY(
        UntoldBuffer::allocate(identity.device, shape.slots * sizeof(RequestHead), Direction::to_device));
    UntoldBuffer statuses =
        PV_TRY(UntoldBuffer::allocate(identity.device, shape.slots, Direction::from_device));
    UntoldBuffer tables;
    if (shape.indirect) {
        tables = PV_TRY(UntoldBuffer::allocate(
            identity.device, shape.slots * shape.chain() * sizeof(Descriptor), Direction::to_device));
    }
    const auto table = rings->bytes().first(layout.table);
    const auto driver_area = rings->bytes().subspan(layout.table);
    const RequestRing::Ring ring =
        kind.packed ? RequestRing::Ring{PV_TRY(PackedRing::create(table, driver_area, used->bytes(),
                                                                  shape.entries, kind.event_index))}
                    : RequestRing::Ring{PV_TRY(SplitRing::create(table, driver_area, used->bytes(),
                                                                 shape.entries, kind.event_index))};
    const RequestRing requests{ring, shape, {shared(*headers), shared(*statuses), shared(*tables)}};
    // Without memory for the queue, none of the buffers is taken.
    std::unique_ptr<BlockQueue> queue{new (std::nothrow) BlockQueue{
        identity, requests, Memory{rings.take(), used.take(), headers.take(), statuses.take(), tables.take()},
        layout.table, block_size, patience}};
    if (queue == nullptr) {
        return fail(Error::out_of_memory);
    }
    return queue;
}

QueueAreas BlockQueue::areas() const {
    return {memory_.rings.bus(), memory_.rings.bus() + driver_area_, memory_.used.bus()};
}

Result<block::CommandId> BlockQueue::start(BlockRequest type, block::Submission&& submission, Room room,
                                           const BlockRange* range) {
    const bool reads = type == BlockRequest::read;
    // Of its writable part the device fills the data of a read, and always the status.
    submission.expected =
        static_cast<std::uint32_t>((reads && submission.data ? submission.data.length() : 0) + 1);
    return submit(std::move(submission), room, [&](block::CommandId id, const block::Command& command) {
        const std::size_t slot = block::CommandTable::Slots::slot_of(id);
        RequestData data =
            command.data ? RequestData{command.data.bus(), command.data.length(), reads} : RequestData{};
        misbehave_with_data(data);
        // The sector of a request about a range stands in the range (5.2.6.1).
        const std::uint64_t sector = range != nullptr ? 0 : command.first * (block_size_ / sector_size);
        const Result<> written = ring_.write(slot, type, sector, data, range);
        misbehave_with_table(ring_.head(slot), shared(memory_.tables));
        return written;
    });
}

void BlockQueue::publish(block::CommandId id, bool more) {
    const std::size_t slot = block::CommandTable::Slots::slot_of(id);
    std::uint16_t index = ring_.make_available(slot);
    if (misbehave::take(misbehave::Rule::cmd_duplicate)) {
        submit_twice(id);
        index = ring_.make_available(slot);
        surplus_ = 1;
    }
    mark_available(index);
    if (!more) {
        ring();
    }
    misbehave_with_head(ring_.head(slot));
}

void BlockQueue::take(const Used& used) {
    const auto wire = static_cast<std::uint16_t>(used.id);
    if (used.id >= ring_.shape().slots) {
        refuse(used.id, "there is no such chain");
        lie();
        return;
    }
    const block::Command* command = outstanding(wire);
    if (command == nullptr) {
        if (surplus_ == 0) {
            lie();
        }
        arrived(wire, 0, 0);  // which refuses it
        return;
    }
    std::uint8_t status = ring_.status(wire);
    const bool reads = command->operation == marker::Operation::read;
    const bool good = status == static_cast<std::uint8_t>(BlockStatus::ok);
    // More than the chain has room for, or a read that is said to be good and is not all there: not
    // believed.
    if (used.length > command->expected || (reads && good && used.length < command->expected)) {
        lie();
        if (lies_locked() <= lie_log_limit) {
            log::error("{}: says it wrote {} bytes where {} were due on queue {}: the request fails",
                       identity().name, used.length, command->expected, identity().number);
        }
        status = static_cast<std::uint8_t>(BlockStatus::io_error);
    }
    arrived(wire, status, used.length);
}

void BlockQueue::restart() {
    std::ranges::fill(memory_.rings.bytes(), std::byte{0});
    std::ranges::fill(memory_.used.bytes(), std::byte{0});
    ring_.restart();
    surplus_ = 0;
}

void BlockQueue::end_memory(bool quiet) {
    end({&memory_.rings, &memory_.used, &memory_.headers, &memory_.statuses, &memory_.tables}, quiet);
}

}  // namespace pv::virtio
