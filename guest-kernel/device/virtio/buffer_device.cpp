// What the small virtio devices have in common: queues of single buffers, and one interrupt.
// SPDX-License-Identifier: MIT
#include "device/virtio/buffer_device.hpp"

#include <utility>

#include "base/log.hpp"
#include "device/virtio/spec.hpp"

namespace pv::virtio {
namespace {

constexpr std::size_t largest_queue = 64;

}  // namespace

Result<> BufferDevice::bring_up(marker::DeviceKind kind, std::uint16_t queues) {
    PV_TRY(find(kind));
    PV_TRY(agree(Feature::event_index | Feature::access_platform));
    for (std::uint16_t i = 0; i < queues; ++i) {
        const std::size_t entries = entries_of(i, largest_queue);
        if (entries < 2) {
            log::error("{}: its queue {} has {} entries", name(), i, entries);
            return fail(Error::corrupt);
        }
        auto queue = PV_TRY(BufferQueue::create({name(), marker_device(), i}, entries,
                                                has(Feature::event_index), patience().command));
        PV_TRY(add_queue(std::move(queue)));
    }
    PV_TRY(watch());
    PV_TRY(add_vector(
        interrupt::Vector::allocate("virtio device", raise_all, static_cast<ServiceDevice*>(this))));
    return enter_service();
}

}  // namespace pv::virtio
