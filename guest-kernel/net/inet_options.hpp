// What a program chose for an Internet socket (ip(7), ipv6(7), tcp(7)); SOL_SOCKET's are fs/socket.hpp's.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>

namespace pv::net {

/// Written by the program's threads, read by the network's.
struct InetOptions {
    std::atomic<bool> reuse_address{false};
    std::atomic<bool> keep_alive{false};
    std::atomic<bool> only_v6{false};
    std::atomic<bool> no_delay{false};
    std::atomic<std::uint8_t> hops{64};       ///< IP_TTL, IPV6_UNICAST_HOPS
    std::atomic<std::uint8_t> service{0};     ///< IP_TOS, IPV6_TCLASS
    std::atomic<std::uint32_t> idle{7200};    ///< TCP_KEEPIDLE, seconds
    std::atomic<std::uint32_t> interval{75};  ///< TCP_KEEPINTVL, seconds
    std::atomic<std::uint32_t> probes{9};     ///< TCP_KEEPCNT
    std::atomic<std::int32_t> linger{-1};     ///< SO_LINGER, seconds; negative: off

    /// An accepted connection has what its listener had.
    void copy_from(const InetOptions& other);
};

}  // namespace pv::net
