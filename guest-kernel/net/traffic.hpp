// Traffic to measure: a TCP stream to a peer's discard service, datagrams to its echo service and back.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "net/address.hpp"
#include "net/stack.hpp"

namespace pv::net {

struct TrafficPlan {
    Ip4 peer;
    bool stream = true;        ///< else datagrams
    std::uint64_t count = 0;   ///< bytes of a stream, datagrams that are to come back; 1 or more
    std::size_t size = 64;     ///< of a datagram, 1 to 1472
    std::uint64_t depth = 32;  ///< datagrams on their way at once
};

/// Nanoseconds from the connection (or the first datagram) until all is acknowledged (or came back).
/// Datagrams that are lost are sent again. Threads only, not the network's. Errors: timed_out, io (no
/// connection, or it was reset), out_of_memory, device_failed (the network stopped).
[[nodiscard]] Result<Duration> traffic(Stack& stack, const TrafficPlan& plan, Deadline deadline);

}  // namespace pv::net
