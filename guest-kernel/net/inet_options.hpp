// What a program chose for an Internet socket (ip(7), ipv6(7), tcp(7)); SOL_SOCKET's are fs/socket.hpp's.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"

namespace pv::net {

/// Written by the program's threads, read by the network's.
struct InetOptions {
    Atomic<bool> reuse_address{false};
    Atomic<bool> keep_alive{false};
    Atomic<bool> only_v6{false};
    Atomic<bool> no_delay{false};
    Atomic<std::uint8_t> hops{64};       ///< IP_TTL, IPV6_UNICAST_HOPS
    Atomic<std::uint8_t> service{0};     ///< IP_TOS, IPV6_TCLASS
    Atomic<bool> tells_hops{false};      ///< IP_RECVTTL
    Atomic<bool> tells_hops_v6{false};   ///< IPV6_RECVHOPLIMIT
    Atomic<bool> tells_info{false};      ///< IP_PKTINFO
    Atomic<bool> tells_info_v6{false};   ///< IPV6_RECVPKTINFO
    Atomic<std::uint32_t> idle{7200};    ///< TCP_KEEPIDLE, seconds
    Atomic<std::uint32_t> interval{75};  ///< TCP_KEEPINTVL, seconds
    Atomic<std::uint32_t> probes{9};     ///< TCP_KEEPCNT
    Atomic<std::int32_t> linger{-1};     ///< SO_LINGER, seconds; negative: off

    /// An accepted connection has what its listener had.
    void copy_from(const InetOptions& other);
};

}  // namespace pv::net
