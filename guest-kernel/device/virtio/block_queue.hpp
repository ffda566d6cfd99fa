// A request queue of a virtio-blk device in service.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/result.hpp"
#include "device/dma/buffer.hpp"
#include "device/virtio/request_ring.hpp"
#include "device/virtio/service_queue.hpp"

namespace pv::virtio {

/// What was agreed on about rings.
struct RingKind {
    bool packed = false;
    bool event_index = false;
};

class BlockQueue final : public ServiceQueue {
  public:
    /// Memory for a queue of this shape; the device does not know of it yet. `patience`: a request's,
    /// whatever its caller's deadline. Errors: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<BlockQueue>> create(block::QueueIdentity identity,
                                                                    const RequestShape& shape,
                                                                    std::size_t block_size,
                                                                    RingKind kind = {},
                                                                    Duration patience = Duration::max());

    /// Hands a request to the device: see CommandQueue::submit. `range`: of a discard or a write-zeroes.
    [[nodiscard]] Result<block::CommandId> start(BlockRequest type, block::Submission&& submission, Room room,
                                                 const BlockRange* range = nullptr);

    [[nodiscard]] const RequestShape& shape() const { return ring_.shape(); }

    [[nodiscard]] std::size_t entries() const override { return ring_.shape().entries; }

  private:
    struct Memory {
        dma::Buffer rings;  ///< descriptors, and the driver area behind them
        dma::Buffer used;   ///< the device area
        dma::Buffer headers;
        dma::Buffer statuses;
        dma::Buffer tables;  ///< empty without indirect descriptors
    };

    BlockQueue(block::QueueIdentity identity, const RequestRing& ring, Memory&& memory,
               std::size_t driver_area, std::size_t block_size, Duration patience)
        : ServiceQueue{identity, ring.shape().slots, patience},
          ring_{ring},
          memory_{std::move(memory)},
          driver_area_{driver_area},
          block_size_{block_size} {}

    [[nodiscard]] marker::QueueKind kind() const override {
        return ring_.packed() ? marker::QueueKind::virtio_packed : marker::QueueKind::virtio_split;
    }

    [[nodiscard]] QueueAreas areas() const override;
    void restart() override;
    void end_memory(bool quiet) override;
    void publish(block::CommandId id, bool more) override;

    void ring() override {
        if (ring_.wants_doorbell()) {
            ring_doorbell();
        }
    }

    void drain() override {
        drain_ring(ring_, surplus_, [&](const Used& used) { take(used); });
    }

    void take(const Used& used);

    RequestRing ring_;
    Memory memory_;
    std::size_t driver_area_;  ///< offset in memory_.rings
    std::size_t block_size_;
    std::size_t surplus_ = 0;  ///< chains handed over twice on purpose (misbehave/)
};

}  // namespace pv::virtio
