// The transmit queue of a virtio-net device: frames on their way, each with a deadline.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/function_ref.hpp"
#include "base/time.hpp"
#include "base/vector.hpp"
#include "device/virtio/net_ring.hpp"
#include "net/device.hpp"

namespace pv::virtio {

/// The network's thread alone. Each frame is copied into a slot that is mapped for as long as the queue
/// lives: what the stack has in memory, no device ever sees.
class NetTransmit {
  public:
    static constexpr std::size_t slot_bytes = 2048;
    /// By when the device has to be done with a frame.
    static constexpr Duration deadline = Duration::seconds(5);

    /// Errors: as NetRing::create.
    [[nodiscard]] static Result<std::unique_ptr<NetTransmit>> create(marker::Device device,
                                                                     std::uint16_t number,
                                                                     std::size_t entries);

    [[nodiscard]] NetRing& ring() { return ring_; }

    /// As net::Device::send.
    Result<> send(std::size_t length, FunctionRef<net::SumRequest(std::span<std::byte>)> fill);

    /// Takes back what the device is done with. Whether there was anything.
    bool reclaim();

    /// Whether a frame was refused for want of room since this was asked last and there is room now.
    [[nodiscard]] bool room_again();

    /// Since when the oldest frame waits; nothing when the device holds none.
    [[nodiscard]] std::optional<Instant> oldest() const;

    /// Says that the oldest frame's deadline passed.
    void give_up_oldest();

    [[nodiscard]] std::string_view lie() const { return lie_; }

    [[nodiscard]] std::size_t outstanding() const { return ring_entries_ - free_.size(); }

    [[nodiscard]] bool starved() const { return starved_; }

    [[nodiscard]] std::uint64_t frames() const { return frames_; }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    [[nodiscard]] std::uint64_t full() const { return full_; }

    /// The device is quiet: what it still held will not be sent.
    void release();

  private:
    struct Slot {
        Instant since;
        std::uint64_t turn = 0;  ///< the how manieth frame of all: 0 = the device does not hold it
        bool timed_out = false;
    };

    NetTransmit(NetRing&& ring, dma::UntoldBuffer&& slots, Vector<Slot>&& books,
                Vector<std::uint16_t>&& free);

    [[nodiscard]] std::uint64_t command(std::uint16_t id) const { return books_[id].turn << 16 | id; }

    NetRing ring_;
    dma::UntoldBuffer untold_slots_;
    dma::Buffer slots_;
    Vector<Slot> books_;
    Vector<std::uint16_t> free_;
    std::size_t ring_entries_;
    std::uint64_t turn_ = 0;
    std::uint64_t frames_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t full_ = 0;
    std::string_view lie_;
    bool starved_ = false;
};

}  // namespace pv::virtio
