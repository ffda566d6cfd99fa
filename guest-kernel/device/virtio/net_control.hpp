// The control queue of a virtio-net device: one command at a time, asked and answered.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/deadline.hpp"
#include "device/virtio/net_ring.hpp"

namespace pv::virtio {

/// One thread at a time.
class NetControlQueue {
  public:
    /// Errors: as NetRing::create.
    [[nodiscard]] static Result<std::unique_ptr<NetControlQueue>> create(marker::Device device,
                                                                         std::uint16_t number,
                                                                         std::size_t entries);

    [[nodiscard]] NetRing& ring() { return ring_; }

    /// Sends a command with `data` (at most 16 bytes) and waits for its answer. Threads only. Errors:
    /// timed_out (the queue is of no use until the device is reset), io (the device refused it),
    /// device_failed (it answered what was not asked), busy (after a time-out).
    Result<> execute(std::uint8_t command_class, std::uint8_t command, std::span<const std::byte> data,
                     Deadline deadline);

    /// The device is quiet.
    void release();

  private:
    /// What a command consists of, in memory the device is told of.
    struct Layout {
        NetControl header;
        std::array<std::byte, 16> data;
        std::uint8_t answer;
    };

    NetControlQueue(NetRing&& ring, dma::UntoldBuffer&& memory);

    NetRing ring_;
    dma::UntoldBuffer untold_memory_;
    dma::Buffer memory_;
    std::uint64_t turn_ = 0;
    bool owed_ = false;
};

}  // namespace pv::virtio
