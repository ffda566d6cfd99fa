// The request queue of a virtio-iommu: one request at a time, waited for by spinning.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.hpp"
#include "device/dma/buffer.hpp"
#include "device/virtio/split_ring.hpp"
#include "device/virtio/transport.hpp"
#include "task/lock.hpp"

namespace pv::iommu {

/// VIRTIO 1.2, 5.13.6. Any context: who maps or unmaps may hold the lock of a device's queue, and the answer
/// must be there before he goes on.
class VirtioRequests {
  public:
    /// The queue's memory, for a device whose answers are at most `answer` bytes. Errors: corrupt (a queue
    /// too small), out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<VirtioRequests>> create(marker::Device device,
                                                                        const virtio::Transport& transport,
                                                                        std::size_t answer);

    VirtioRequests(const VirtioRequests&) = delete;
    VirtioRequests& operator=(const VirtioRequests&) = delete;

    /// Before DRIVER_OK. Errors: as enable_queue.
    [[nodiscard]] Result<> enable(const virtio::Transport& transport);

    /// Hands `request` to the device and waits for its answer, which is `answer` long; the last four bytes
    /// are the status. Errors: io (a status other than OK), timed_out (no answer within 2 s: the unit is
    /// given up), device_failed (it was before), invalid_argument (too long).
    [[nodiscard]] Result<> run(std::span<const std::byte> request, std::span<std::byte> answer);

    /// The device is reset: its memory is free again.
    void release();

  private:
    struct State {
        virtio::SplitRing ring;
        bool failed = false;
    };

    VirtioRequests(marker::Device device, const virtio::SplitRing& ring, dma::Buffer rings,
                   dma::Buffer request, dma::Buffer answer)
        : device_{device},
          rings_{std::move(rings)},
          request_{std::move(request)},
          answer_{std::move(answer)},
          state_{State{ring}} {}

    static constexpr std::size_t entries = 4;
    static constexpr std::size_t request_max = 128;

    marker::Device device_;
    dma::Buffer rings_;  ///< table, available ring, used ring
    dma::Buffer request_;
    dma::Buffer answer_;
    virtio::Doorbell doorbell_;
    task::Guarded<State, task::Rank::iommu> state_;
};

}  // namespace pv::iommu
