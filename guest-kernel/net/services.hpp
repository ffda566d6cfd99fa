// What this kernel serves to others: echo (RFC 862) and discard (RFC 863), over TCP and UDP, IPv4 and IPv6.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/deadline.hpp"
#include "base/result.hpp"

namespace pv::net {

inline constexpr std::uint16_t echo_port = 7;
inline constexpr std::uint16_t discard_port = 9;

/// Connections served at once; a further one is refused. One that moves nothing for `idle_limit` is ended.
inline constexpr unsigned most_connections = 32;
inline constexpr Duration idle_limit = Duration::seconds(60);

struct ServiceCounts {
    std::uint64_t connections = 0;  ///< accepted, ever
    std::uint64_t ended = 0;        ///< of them
    std::uint64_t refused = 0;      ///< for want of room
    std::uint64_t bytes = 0;        ///< that came in by TCP
    std::uint64_t datagrams = 0;    ///< that came in by UDP
    std::uint64_t datagram_bytes = 0;
};

/// On the network's thread.
void start_services();
void tick_services();
void stop_services();

/// Any context.
[[nodiscard]] ServiceCounts service_counts();

/// Sleeps until so many connections have ended since boot. Threads only. Error: timed_out.
Result<> wait_for_served(std::uint64_t connections, Deadline deadline);

}  // namespace pv::net
