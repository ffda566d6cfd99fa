// A virtqueue whose requests are one buffer each, in service: entropy, console.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.hpp"
#include "block/command_queue.hpp"
#include "device/dma/buffer.hpp"
#include "device/virtio/split_ring.hpp"
#include "device/virtio/transport.hpp"

namespace pv::virtio {

class BufferQueue final : public block::CommandQueue {
  public:
    /// Memory for a split queue of `entries` (a power of two); the device does not know of it yet. Errors:
    /// out_of_memory, invalid_argument.
    [[nodiscard]] static Result<std::unique_ptr<BufferQueue>> create(block::QueueIdentity identity,
                                                                     std::size_t entries, bool event_index,
                                                                     Duration patience);

    /// Emits queue_areas and queue_create, and returns what the device is to be told.
    [[nodiscard]] QueueAreas announce();

    void set_doorbell(const Doorbell& doorbell) {
        locked([&] { doorbell_ = doorbell; });
    }

    /// As BlockQueue's.
    using Trouble = void (*)(void* context);

    void on_trouble(Trouble function, void* context) {
        locked([&] {
            trouble_ = function;
            trouble_context_ = context;
        });
    }

    /// Hands `submission.data` to the device, to fill or to read. The outcome's result is how many bytes it
    /// wrote, never more than there are. Errors: see CommandQueue::submit.
    [[nodiscard]] Result<block::CommandId> start(block::Submission&& submission, bool device_writes,
                                                 Room room);

    [[nodiscard]] std::size_t entries() const { return ring_.entries(); }

    [[nodiscard]] bool lied() {
        bool lied = false;
        locked([&] { lied = lied_; });
        return lied;
    }

    /// As BlockQueue's.
    void renew();
    void release(bool quiet);

  private:
    BufferQueue(block::QueueIdentity identity, const SplitRing& ring, dma::Buffer&& driver_area,
                dma::Buffer&& device_area, Duration patience)
        : CommandQueue{identity, block::Generations::host_only, ring.entries(), patience},
          ring_{ring},
          driver_area_{std::move(driver_area)},
          device_area_{std::move(device_area)} {}

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
    void lie(std::uint64_t what, std::string_view why);
    void mark_deleted();

    SplitRing ring_;
    dma::Buffer driver_area_;  ///< descriptor table, and the available ring behind it
    dma::Buffer device_area_;  ///< used ring
    Doorbell doorbell_;
    bool announced_ = false;
    bool lied_ = false;          ///< under the lock
    Trouble trouble_ = nullptr;  ///< both under the lock
    void* trouble_context_ = nullptr;
};

}  // namespace pv::virtio
