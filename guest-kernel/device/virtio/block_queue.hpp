// A request queue of a virtio-blk device in service.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "block/command_queue.hpp"
#include "device/dma/buffer.hpp"
#include "device/virtio/request_ring.hpp"
#include "device/virtio/transport.hpp"

namespace pv::virtio {

/// What was agreed on about rings.
struct RingKind {
    bool packed = false;
    bool event_index = false;
};

class BlockQueue final : public block::CommandQueue {
  public:
    /// Memory for a queue of this shape; the device does not know of it yet. `patience`: a request's,
    /// whatever its caller's deadline. Errors: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<BlockQueue>> create(block::QueueIdentity identity,
                                                                    const RequestShape& shape,
                                                                    std::size_t block_size,
                                                                    RingKind kind = {},
                                                                    Duration patience = Duration::max());

    /// Emits queue_areas and queue_create, and returns what the device is to be told.
    [[nodiscard]] QueueAreas announce();

    /// From here on the queue can be used.
    void set_doorbell(const Doorbell& doorbell) {
        locked([&] { doorbell_ = doorbell; });
    }

    /// Calls `function(context)` when a request is overdue, or slow, or the ring says what cannot be: in any
    /// context, with the queue's lock held.
    using Trouble = void (*)(void* context);

    void on_trouble(Trouble function, void* context) {
        locked([&] {
            trouble_ = function;
            trouble_context_ = context;
        });
    }

    /// Hands a request to the device: see CommandQueue::submit. `range`: of a discard or a write-zeroes.
    [[nodiscard]] Result<block::CommandId> start(BlockRequest type, block::Submission&& submission, Room room,
                                                 const BlockRange* range = nullptr);

    [[nodiscard]] const RequestShape& shape() const { return ring_.shape(); }

    /// The device said what cannot be since the last `renew`: ids or lengths that nothing explains, an index
    /// that jumped.
    [[nodiscard]] bool lied() {
        bool lied = false;
        locked([&] { lied = lied_; });
        return lied;
    }

    /// How often it did.
    [[nodiscard]] std::uint64_t lies() {
        std::uint64_t lies = 0;
        locked([&] { lies = lies_; });
        return lies;
    }

    /// The device was reset and nothing is outstanding: the ring is empty again, in the same memory. Emits
    /// queue_delete.
    void renew();

    /// The end of the queue. `quiet`: the device uses none of the memory any more, all of it goes back; emits
    /// queue_delete. Else it stays in quarantine for good.
    void release(bool quiet);

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
        : CommandQueue{identity, block::Generations::host_only, ring.shape().slots, patience},
          ring_{ring},
          memory_{std::move(memory)},
          driver_area_{driver_area},
          block_size_{block_size} {}

    [[nodiscard]] marker::QueueKind kind() const {
        return ring_.packed() ? marker::QueueKind::virtio_packed : marker::QueueKind::virtio_split;
    }

    void publish(block::CommandId id) override;
    void drain() override;

    void expired(block::CommandId) override {
        locked([&] { tell(); });
    }

    void slow() override {
        locked([&] { tell(); });
    }

    void tell() {
        if (trouble_ != nullptr) {
            trouble_(trouble_context_);
        }
    }

    void take(const Used& used);
    void lie();
    void mark_deleted();

    RequestRing ring_;
    Memory memory_;
    std::size_t driver_area_;  ///< offset in memory_.rings
    std::size_t block_size_;
    Doorbell doorbell_;
    bool announced_ = false;     ///< queue_create was emitted, queue_delete is owed
    bool lied_ = false;          ///< under the lock
    std::size_t surplus_ = 0;    ///< chains handed over twice on purpose (misbehave/)
    std::uint64_t lies_ = 0;     ///< under the lock
    Trouble trouble_ = nullptr;  ///< both under the lock
    void* trouble_context_ = nullptr;
};

}  // namespace pv::virtio
