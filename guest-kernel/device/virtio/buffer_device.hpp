// What the small virtio devices have in common: queues of single buffers, and one interrupt.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "device/virtio/buffer_queue.hpp"
#include "device/virtio/service_device.hpp"

namespace pv::virtio {

/// Base of drivers of devices whose requests are single buffers. Features: VERSION_1 is required, event
/// indexes and ACCESS_PLATFORM are taken where offered. Threads only.
class BufferDevice : public ServiceDevice {
  protected:
    using ServiceDevice::ServiceDevice;
    ~BufferDevice() = default;

    /// Takes the function, resets the device and makes its first `queues` queues. On an error, shut_down
    /// makes it quiet again.
    [[nodiscard]] Result<> bring_up(marker::DeviceKind kind, std::uint16_t queues);

    [[nodiscard]] BufferQueue& queue(std::size_t index) { return static_cast<BufferQueue&>(queue_at(index)); }
};

}  // namespace pv::virtio
