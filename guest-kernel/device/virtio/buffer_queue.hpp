// A virtqueue whose requests are one buffer each, in service: entropy, console.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "device/dma/buffer.hpp"
#include "device/virtio/service_queue.hpp"
#include "device/virtio/split_ring.hpp"

namespace pv::virtio {

class BufferQueue final : public ServiceQueue {
  public:
    /// Memory for a split queue of `entries` (a power of two); the device does not know of it yet. Errors:
    /// out_of_memory, invalid_argument.
    [[nodiscard]] static Result<std::unique_ptr<BufferQueue>> create(block::QueueIdentity identity,
                                                                     std::size_t entries, bool event_index,
                                                                     Duration patience);

    /// Hands `submission.data` to the device, to fill or to read. The outcome's result is how many bytes it
    /// wrote, never more than there are. Errors: see CommandQueue::submit.
    [[nodiscard]] Result<block::CommandId> start(block::Submission&& submission, bool device_writes,
                                                 Room room);

    [[nodiscard]] std::size_t entries() const override { return ring_.entries(); }

  private:
    BufferQueue(block::QueueIdentity identity, const SplitRing& ring, dma::Buffer&& driver_area,
                dma::Buffer&& device_area, Duration patience)
        : ServiceQueue{identity, ring.entries(), patience},
          ring_{ring},
          driver_area_{std::move(driver_area)},
          device_area_{std::move(device_area)} {}

    [[nodiscard]] marker::QueueKind kind() const override { return marker::QueueKind::virtio_split; }

    [[nodiscard]] QueueAreas areas() const override;
    void restart() override;

    void end_memory(bool quiet) override { end({&driver_area_, &device_area_}, quiet); }

    void publish(block::CommandId id, bool more) override;

    void ring() override {
        if (ring_.wants_doorbell()) {
            ring_doorbell();
        }
    }

    void drain() override {
        drain_ring(ring_, 0, [&](const Used& used) { take(used); });
    }

    void take(const Used& used);
    void lie_about(std::uint64_t what, std::string_view why);

    SplitRing ring_;
    dma::Buffer driver_area_;  ///< descriptor table, and the available ring behind it
    dma::Buffer device_area_;  ///< used ring
};

}  // namespace pv::virtio
