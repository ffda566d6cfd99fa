// A network device as the stack sees it: frames out, frames in, a link.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/deadline.hpp"
#include "base/function_ref.hpp"
#include "base/result.hpp"
#include "net/waker.hpp"

namespace pv::net {

using MacAddress = std::array<std::uint8_t, 6>;

/// Bytes of a frame before its payload, and the longest frame a device here sends or takes, without its
/// checksum.
inline constexpr std::size_t ethernet_header = 14;
inline constexpr std::size_t largest_mtu = 1500;
inline constexpr std::size_t largest_frame = ethernet_header + largest_mtu;

/// A frame that came in. The device may still change its bytes: they are read once, by copying them.
struct Frame {
    std::span<const std::span<const std::byte>> parts;
    std::size_t length = 0;    ///< of all parts
    bool sum_vouched = false;  ///< the device says that the TCP or UDP checksum is right
    bool sum_partial = false;  ///< the frame never was on a wire: its sum field holds the pseudo header's sum
};

/// The device is to put the Internet checksum of everything from `start` on at `start + offset`; what stands
/// there counts. Nothing when start is 0.
struct SumRequest {
    std::uint16_t start = 0;
    std::uint16_t offset = 0;
};

struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t sent_bytes = 0;
    std::uint64_t received = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t send_full = 0;  ///< frames refused because the queue was full
    std::uint64_t lies = 0;       ///< what the device said and cannot be
    std::uint64_t resets = 0;     ///< recoveries
};

/// All of it on the network's thread, unless said otherwise.
class Device {
  public:
    Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    virtual ~Device() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;
    [[nodiscard]] virtual MacAddress mac() const = 0;
    [[nodiscard]] virtual std::size_t mtu() const = 0;  ///< at most largest_mtu
    [[nodiscard]] virtual bool link_up() const = 0;
    /// Whether it fills in the checksums of TCP it is asked to.
    [[nodiscard]] virtual bool sums_on_send() const = 0;

    /// From here on it calls `waker`, which outlives it, when there is something to do and `arm` was called.
    virtual void start(Waker& waker) = 0;

    /// Hands a frame of `length` bytes to the device; `fill` writes it. It is on its way after `flush` at the
    /// latest. Errors: busy (the queue is full, or there is no link), out_of_range (too long), device_failed.
    virtual Result<> send(std::size_t length, FunctionRef<SumRequest(std::span<std::byte>)> fill) = 0;

    virtual void flush() = 0;

    /// Calls `take` for frames that came in, `budget` at most. How many there were.
    virtual std::size_t receive(std::size_t budget, FunctionRef<void(const Frame&)> take) = 0;

    /// Asks for a wake-up at the next frame. True when there is one already: none is promised then.
    [[nodiscard]] virtual bool arm() = 0;

    /// Called a few times a second: looks for what waits too long, and for what the device says of itself.
    virtual void tick() = 0;

    /// Something happened to the device: the next tick, which comes soon, finds out what. Any thread.
    virtual void look() = 0;

    /// The device is about to be taken away: it takes no more frames, gives those on their way
    /// `patience`, and lets go of the hardware. Any thread; at the next tick. dead() says when.
    virtual void leave(Duration patience) = 0;

    /// It was given up, and touches the hardware no more. Any thread.
    [[nodiscard]] virtual bool dead() const = 0;

    [[nodiscard]] virtual Counters counters() const = 0;

    /// Says on the console how its queues stand.
    virtual void print_status() = 0;

    /// Lets go of the device. Nothing else is called afterwards.
    virtual void shut_down(Deadline deadline) = 0;
};

}  // namespace pv::net
