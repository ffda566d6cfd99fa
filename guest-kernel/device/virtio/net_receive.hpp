// The receive queue of a virtio-net device: buffers the device fills, and nothing it says is believed.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/function_ref.hpp"
#include "base/vector.hpp"
#include "device/virtio/net_ring.hpp"
#include "net/device.hpp"

namespace pv::virtio {

/// The network's thread alone.
class NetReceive {
  public:
    /// Of each buffer: a header and the longest frame, so that a frame is one buffer unless the device likes
    /// several.
    static constexpr std::size_t buffer_bytes = 2048;
    /// Buffers a frame may be spread over; a device that needs more of this size sends what nobody asked for.
    static constexpr std::size_t most_parts = 4;

    /// Errors: as NetRing::create. `mergeable`: a frame may fill several buffers (VIRTIO_NET_F_MRG_RXBUF).
    [[nodiscard]] static Result<std::unique_ptr<NetReceive>> create(marker::Device device,
                                                                    std::uint16_t number, std::size_t entries,
                                                                    bool mergeable);

    [[nodiscard]] NetRing& ring() { return ring_; }

    /// Hands every buffer to the device.
    void fill();

    /// Calls `take` for `budget` frames at most, and hands their buffers back to the device. How many.
    std::size_t receive(std::size_t budget, FunctionRef<void(const net::Frame&)> take);

    /// Whether a buffer was filled that `receive` did not take yet.
    [[nodiscard]] bool pending();

    /// What the device said that cannot be; empty for nothing. Nothing is received any more then.
    [[nodiscard]] std::string_view lie() const { return lie_; }

    [[nodiscard]] std::size_t posted() const { return posted_; }

    [[nodiscard]] std::uint64_t frames() const { return frames_; }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    /// The device is quiet.
    void release();

  private:
    struct Filled {
        std::uint16_t id = 0;
        std::size_t length = 0;
    };

    NetReceive(NetRing&& ring, dma::UntoldBuffer&& buffers, Vector<bool>&& with_device, bool mergeable);

    /// The next filled buffer; nothing when there is none, or the device lied.
    [[nodiscard]] std::optional<Filled> next();
    [[nodiscard]] std::span<std::byte> buffer(std::uint16_t id) const;
    /// False when the device lied about this frame.
    bool take_one(const Filled& first, FunctionRef<void(const net::Frame&)> take);
    void post(std::uint16_t id);

    NetRing ring_;
    dma::UntoldBuffer untold_buffers_;
    dma::Buffer buffers_;
    Vector<bool> with_device_;
    std::optional<Filled> ahead_;  ///< looked at, not taken
    std::size_t posted_ = 0;
    std::uint64_t frames_ = 0;
    std::uint64_t bytes_ = 0;
    std::string_view lie_;
    bool mergeable_;
};

}  // namespace pv::virtio
