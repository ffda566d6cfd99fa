// A virtqueue whose requests are one buffer each, in service.
// SPDX-License-Identifier: MIT
#include "device/virtio/buffer_queue.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "base/log.hpp"

namespace pv::virtio {
namespace {

constexpr std::uint16_t done_badly = 1;
/// Lies that are logged one by one.
constexpr std::uint64_t lie_log_limit = 8;

}  // namespace

Result<std::unique_ptr<BufferQueue>> BufferQueue::create(block::QueueIdentity identity, std::size_t entries,
                                                         bool event_index, Duration patience) {
    const std::size_t table = SplitRing::table_bytes(entries);
    dma::UntoldBuffer driver_area = PV_TRY(dma::UntoldBuffer::allocate(
        identity.device, table + SplitRing::available_bytes(entries), dma::Direction::to_device));
    dma::UntoldBuffer device_area = PV_TRY(dma::UntoldBuffer::allocate(
        identity.device, SplitRing::used_bytes(entries), dma::Direction::bidirectional));
    const SplitRing ring =
        PV_TRY(SplitRing::create(driver_area->bytes().first(table), driver_area->bytes().subspan(table),
                                 device_area->bytes(), entries, event_index));
    std::unique_ptr<BufferQueue> queue{
        new (std::nothrow) BufferQueue{identity, ring, driver_area.take(), device_area.take(), patience}};
    if (queue == nullptr) {
        return fail(Error::out_of_memory);
    }
    return queue;
}

QueueAreas BufferQueue::areas() const {
    return {driver_area_.bus(), driver_area_.bus() + SplitRing::table_bytes(entries()), device_area_.bus()};
}

Result<block::CommandId> BufferQueue::start(block::Submission&& submission, bool device_writes, Room room) {
    submission.expected = device_writes ? static_cast<std::uint32_t>(submission.data.length()) : 0;
    return submit(std::move(submission), room, [&](block::CommandId id, const block::Command& command) {
        Descriptor& one = ring_.descriptor(block::CommandTable::Slots::slot_of(id));
        one.address = command.data.bus().value();
        one.length = static_cast<std::uint32_t>(command.data.length());
        one.flags = device_writes ? Descriptor::flag_device_writes : std::uint16_t{0};
        one.next = std::uint16_t{0};
        return Result<>{};
    });
}

void BufferQueue::publish(block::CommandId id, bool more) {
    const auto slot = static_cast<std::uint16_t>(block::CommandTable::Slots::slot_of(id));
    const std::uint16_t index = ring_.make_available(slot);
    mark_available(index);
    if (!more) {
        ring();
    }
}

void BufferQueue::take(const Used& used) {
    const auto wire = static_cast<std::uint16_t>(used.id);
    const block::Command* command = used.id < entries() ? outstanding(wire) : nullptr;
    if (command == nullptr) {
        refuse(used.id, "there is no such request");
        lie_about(used.id, "it answers what nobody asked");
        return;
    }
    if (used.length > command->expected) {
        lie_about(used.length, "it says that it wrote more bytes than there are");
        arrived(wire, done_badly, 0);
        return;
    }
    arrived(wire, 0, used.length);
}

void BufferQueue::lie_about(std::uint64_t what, std::string_view why) {
    if (lies_locked() < lie_log_limit) {
        log::error("{}: {} ({:#x}, queue {}): it is reset", identity().name, why, what, identity().number);
    }
    lie();
}

void BufferQueue::restart() {
    std::ranges::fill(driver_area_.bytes(), std::byte{0});
    std::ranges::fill(device_area_.bytes(), std::byte{0});
    ring_.restart();
}

}  // namespace pv::virtio
