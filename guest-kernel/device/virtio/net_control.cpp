// The control queue of a virtio-net device.
// SPDX-License-Identifier: MIT
#include "device/virtio/net_control.hpp"

#include <cstring>
#include <new>
#include <utility>

#include "base/marker.hpp"
#include "task/thread.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

constexpr std::uint8_t no_answer = 0xff;
constexpr Duration look_interval = 1_ms;
constexpr std::uint16_t head = 0;

}  // namespace

Result<std::unique_ptr<NetControlQueue>> NetControlQueue::create(marker::Device device, std::uint16_t number,
                                                                 std::size_t entries) {
    NetRing ring = PV_TRY(NetRing::create(device, number, entries));
    auto memory = PV_TRY(dma::UntoldBuffer::allocate(device, sizeof(Layout), dma::Direction::bidirectional));
    std::unique_ptr<NetControlQueue> queue{new (std::nothrow)
                                               NetControlQueue{std::move(ring), std::move(memory)}};
    if (queue == nullptr) {
        return fail(Error::out_of_memory);
    }
    return queue;
}

NetControlQueue::NetControlQueue(NetRing&& ring, dma::UntoldBuffer&& memory)
    : ring_{std::move(ring)}, untold_memory_{std::move(memory)} {}

Result<> NetControlQueue::execute(std::uint8_t command_class, std::uint8_t command,
                                  std::span<const std::byte> data, Deadline deadline) {
    if (owed_ || data.empty() || data.size() > sizeof(Layout::data) || ring_.entries() < 4) {
        return fail(Error::busy);
    }
    if (!memory_) {
        memory_ = untold_memory_.take();
        ring_.want_interrupts(false);
    }
    auto& layout = *reinterpret_cast<Layout*>(memory_.bytes().data());
    layout.header = NetControl{command_class, command};
    std::memcpy(layout.data.data(), data.data(), data.size());
    layout.answer = no_answer;
    const auto part = [&](std::size_t index, std::size_t offset, std::size_t length, std::uint16_t flags) {
        Descriptor& descriptor = ring_.ring().descriptor(index);
        descriptor.address = (memory_.bus() + offset).value();
        descriptor.length = static_cast<std::uint32_t>(length);
        descriptor.flags = flags;
        descriptor.next = static_cast<std::uint16_t>(index + 1);
    };
    part(0, offsetof(Layout, header), sizeof(NetControl), Descriptor::flag_next);
    part(1, offsetof(Layout, data), data.size(), Descriptor::flag_next);
    part(2, offsetof(Layout, answer), 1, Descriptor::flag_device_writes);
    const std::uint64_t id = ++turn_ << 16 | head;
    marker::command_submit(ring_.device(), ring_.number(), id, marker::Operation::admin, deadline.remaining(),
                           0);
    owed_ = true;
    ring_.make_available(head);
    ring_.ring_doorbell();
    for (;;) {
        if (const auto used = ring_.ring().next_used(1)) {
            if (used->id != head) {
                marker::command_refused(ring_.device(), ring_.number(), used->id);
                return fail(Error::device_failed);
            }
            break;
        }
        if (ring_.ring().broken()) {
            return fail(Error::device_failed);
        }
        if (deadline.expired()) {
            marker::command_timeout(ring_.device(), ring_.number(), id, now() - deadline.instant());
            return fail(Error::timed_out);
        }
        task::sleep(look_interval);
    }
    owed_ = false;
    const std::uint8_t answer = *static_cast<const volatile std::uint8_t*>(&layout.answer);
    marker::command_complete(ring_.device(), ring_.number(), id, answer);
    return answer == NetControl::answer_good ? Result<>{} : fail(Error::io);
}

void NetControlQueue::release() {
    if (std::exchange(owed_, false)) {
        marker::command_failed(ring_.device(), ring_.number(), turn_ << 16 | head, 1);
    }
    ring_.release();
    if (memory_) {
        memory_.release();
    }
}

}  // namespace pv::virtio
