// A virtqueue of a network device: its memory, its doorbell, and who wants to be interrupted.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/marker.hpp"
#include "base/result.hpp"
#include "device/dma/buffer.hpp"
#include "device/virtio/net_spec.hpp"
#include "device/virtio/split_ring.hpp"
#include "device/virtio/transport.hpp"

namespace pv::virtio {

/// One thread at a time. The device does not know of the memory before `announce`; from then on `release`
/// must be called when it is quiet.
class NetRing {
  public:
    /// Errors: out_of_memory, invalid_argument (`entries` is no power of two from 2 to 32768).
    [[nodiscard]] static Result<NetRing> create(marker::Device device, std::uint16_t number,
                                                std::size_t entries);

    /// Emits queue_areas and queue_create.
    [[nodiscard]] QueueAreas announce();

    void set_doorbell(const Doorbell& doorbell) { doorbell_ = doorbell; }

    [[nodiscard]] SplitRing& ring() { return ring_; }

    [[nodiscard]] std::uint16_t number() const { return number_; }

    [[nodiscard]] marker::Device device() const { return device_; }

    [[nodiscard]] std::size_t entries() const { return ring_.entries(); }

    /// Hands a chain over; the device may find it at once, and is told by `ring_doorbell` at the latest.
    void make_available(std::uint16_t head) {
        (void)ring_.make_available(head);
        ++untold_;
    }

    /// Tells the device of chains it was not told of, unless it said that it looks by itself (2.7.10). It is
    /// told at the latest when half the ring is untold: whoever reads the ring at each doorbell misses none.
    void ring_doorbell();

    /// Whether the device is to interrupt when it is done with a chain: a hint (2.7.7). Look at the ring
    /// again after switching it on: what was done before raises none.
    void want_interrupts(bool wanted);

    /// The device uses none of the memory any more. Emits queue_delete when it was announced.
    void release();

  private:
    NetRing(marker::Device device, std::uint16_t number, SplitRing ring, dma::UntoldBuffer&& driver_area,
            dma::UntoldBuffer&& device_area);

    [[nodiscard]] RingHeader& available() const;
    [[nodiscard]] const RingHeader& used() const;

    marker::Device device_;
    std::uint16_t number_;
    SplitRing ring_;
    dma::UntoldBuffer untold_driver_area_;
    dma::UntoldBuffer untold_device_area_;
    dma::Buffer driver_area_;  ///< descriptor table, and the available ring behind it
    dma::Buffer device_area_;  ///< used ring
    Doorbell doorbell_;
    std::size_t untold_ = 0;
    bool interrupts_ = true;
    bool announced_ = false;
};

}  // namespace pv::virtio
