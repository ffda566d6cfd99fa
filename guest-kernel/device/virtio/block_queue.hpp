// The request queue of a virtio-blk device in service.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.hpp"
#include "block/command_queue.hpp"
#include "device/dma/buffer.hpp"
#include "device/virtio/request_ring.hpp"
#include "device/virtio/transport.hpp"

namespace pv::virtio {

class BlockQueue final : public block::CommandQueue {
  public:
    /// Memory for a queue of this shape; the device does not know of it yet. Errors: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<BlockQueue>> create(block::QueueIdentity identity,
                                                                    const RequestShape& shape,
                                                                    std::size_t block_size);

    /// Emits queue_areas and queue_create, and returns what the device is to be told.
    [[nodiscard]] QueueAreas announce() const;

    /// From here on the queue can be used.
    void set_doorbell(const Doorbell& doorbell) { doorbell_ = doorbell; }

    /// Hands a request to the device: see CommandQueue::submit.
    [[nodiscard]] Result<block::CommandId> start(BlockRequest type, block::Submission&& submission,
                                                 Room room);

    [[nodiscard]] const RequestShape& shape() const { return ring_.shape(); }

    /// The device uses none of the memory any more. Emits queue_delete; every mapping ends.
    void release();

  private:
    struct Memory {
        dma::Buffer rings;  ///< descriptor table, and the available ring behind it
        dma::Buffer used;
        dma::Buffer headers;
        dma::Buffer statuses;
        dma::Buffer tables;  ///< empty without indirect descriptors
    };

    BlockQueue(block::QueueIdentity identity, const RequestRing& ring, Memory&& memory,
               std::size_t block_size)
        : CommandQueue{identity, block::Generations::host_only, ring.shape().slots},
          ring_{ring},
          memory_{std::move(memory)},
          block_size_{block_size} {}

    void publish(block::CommandId id) override;
    void drain() override;

    RequestRing ring_;
    Memory memory_;
    std::size_t block_size_;
    Doorbell doorbell_;
    std::size_t surplus_ = 0;  ///< chains handed over twice on purpose (misbehave/)
    std::uint64_t lies_ = 0;   ///< lengths that cannot be; under the lock
};

}  // namespace pv::virtio
