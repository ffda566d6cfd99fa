// Options of Internet sockets.
// SPDX-License-Identifier: MIT
#include "net/inet_socket.hpp"

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>

#include <algorithm>
#include <cstring>

#include "base/atomic.hpp"
#include "net/datagram_socket.hpp"
#include "net/echo_core.hpp"
#include "net/endpoint.hpp"
#include "net/tcp_socket.hpp"
#include "net/udp_core.hpp"

namespace pv::net {
namespace {

/// A value given as an int, or where that is allowed as a byte.
Outcome<int> value_of(std::span<const std::byte> bytes) {
    int value = 0;
    if (bytes.size() >= sizeof value) {
        std::memcpy(&value, bytes.data(), sizeof value);
    } else if (!bytes.empty()) {
        value = static_cast<unsigned char>(bytes[0]);
    } else {
        return fail(Errno::einval);
    }
    return value;
}

std::size_t give(int value, std::span<std::byte> room) {
    const std::size_t count = std::min(room.size(), sizeof value);
    std::memcpy(room.data(), &value, count);
    return count;
}

constexpr std::uint8_t default_hops = 64;

/// -1: the default. Error: einval.
Outcome<> set_byte(Atomic<std::uint8_t>& to, int value, int least, std::uint8_t by_default) {
    if (value != -1 && (value < least || value > 255)) {
        return fail(Errno::einval);
    }
    to.store(value == -1 ? by_default : static_cast<std::uint8_t>(value), std::memory_order_relaxed);
    return {};
}

}  // namespace

Outcome<Ref<fs::OpenFile>> create_inet_socket(std::uint16_t family, fs::SocketType type, int protocol,
                                              std::uint32_t flags) {
    if (protocol < 0 || protocol >= IPPROTO_MAX) {
        return fail(Errno::einval);
    }
    switch (type) {
        case fs::SocketType::stream:
            return protocol == 0 || protocol == IPPROTO_TCP ? create_tcp_socket(family, flags)
                                                            : fail(Errno::eprotonosupport);
        case fs::SocketType::datagram:
            if (protocol == 0 || protocol == IPPROTO_UDP) {
                return create_datagram_socket(PV_TRY(UdpCore::create(family)), flags);
            }
            if (protocol == (family == family_v6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP})) {
                return create_datagram_socket(PV_TRY(EchoCore::create(family)), flags);
            }
            return fail(Errno::eprotonosupport);
        default:
            return fail(Errno::esocktnosupport);
    }
}

std::uint16_t port_of(const fs::SocketAddress& address) {
    const std::uint16_t family = address.family();
    if (family != family_v4 && family != family_v6) {
        return 0;
    }
    const Outcome<Endpoint> endpoint = read_endpoint(address, family);
    return endpoint ? endpoint->port : std::uint16_t{0};
}

void InetSocket::options_changed() {
    // Datagram sockets that share a port share its name; of two listeners the second is refused all the same.
    const bool reuses = options().reuse_address.load(std::memory_order_relaxed) ||
                        options().reuse_port.load(std::memory_order_relaxed);
    inet_options().reuse_address.store(reuses, std::memory_order_relaxed);
    inet_options().keep_alive.store(options().keep_alive.load(std::memory_order_relaxed),
                                    std::memory_order_relaxed);
    inet_options().linger.store(options().linger.load(std::memory_order_relaxed), std::memory_order_relaxed);
    push_options();
}

Outcome<> InetSocket::set_own_option(int, int) {
    return fail(Errno::enoprotoopt);
}

Outcome<int> InetSocket::get_own_option(int) {
    return fail(Errno::enoprotoopt);
}

Outcome<> InetSocket::set_option(int level, int name, std::span<const std::byte> bytes) {
    InetOptions& own = inet_options();
    if (level == protocol()) {
        if (bytes.size() < sizeof(int)) {
            return fail(Errno::einval);
        }
        const int value = PV_TRY(value_of(bytes));
        PV_TRY(set_own_option(name, value));
    } else if (level == IPPROTO_IP) {
        const int value = PV_TRY(value_of(bytes));
        switch (name) {
            case IP_TTL:
                PV_TRY(set_byte(own.hops, value, 1, default_hops));
                break;
            case IP_TOS:
                own.service.store(static_cast<std::uint8_t>(value), std::memory_order_relaxed);
                break;
            case IP_RECVTTL:
                own.tells_hops.store(value != 0, std::memory_order_relaxed);
                return {};
            case IP_PKTINFO:
                own.tells_info.store(value != 0, std::memory_order_relaxed);
                return {};
            // Nothing is sent that these would change; packets with options are not told of.
            case IP_RETOPTS:
            case IP_MTU_DISCOVER:
            case IP_RECVERR:
            case IP_BIND_ADDRESS_NO_PORT:
            case IP_FREEBIND:
                return {};
            default:
                return fail(Errno::enoprotoopt);
        }
    } else if (level == IPPROTO_IPV6 && family() == family_v6) {
        if (bytes.size() < sizeof(int)) {
            return fail(Errno::einval);
        }
        const int value = PV_TRY(value_of(bytes));
        switch (name) {
            case IPV6_V6ONLY:
                if (has_name()) {
                    return fail(Errno::einval);
                }
                own.only_v6.store(value != 0, std::memory_order_relaxed);
                break;
            case IPV6_UNICAST_HOPS:
                PV_TRY(set_byte(own.hops, value, 0, default_hops));
                break;
            case IPV6_TCLASS:
                PV_TRY(set_byte(own.service, value, 0, 0));
                break;
            case IPV6_RECVHOPLIMIT:
                own.tells_hops_v6.store(value != 0, std::memory_order_relaxed);
                return {};
            case IPV6_RECVPKTINFO:
                own.tells_info_v6.store(value != 0, std::memory_order_relaxed);
                return {};
            case IPV6_MTU_DISCOVER:
            case IPV6_RECVERR:
                return {};
            default:
                return fail(Errno::enoprotoopt);
        }
    } else {
        return fail(Errno::enoprotoopt);
    }
    push_options();
    return {};
}

Outcome<std::size_t> InetSocket::get_option(int level, int name, std::span<std::byte> room) {
    const InetOptions& own = inet_options();
    if (level == protocol()) {
        return give(PV_TRY(get_own_option(name)), room);
    }
    if (level == IPPROTO_IP) {
        switch (name) {
            case IP_TTL:
                return give(own.hops.load(std::memory_order_relaxed), room);
            case IP_TOS:
                return give(own.service.load(std::memory_order_relaxed), room);
            case IP_MTU_DISCOVER:
                return give(IP_PMTUDISC_DONT, room);
            case IP_RECVTTL:
                return give(own.tells_hops.load(std::memory_order_relaxed) ? 1 : 0, room);
            case IP_PKTINFO:
                return give(own.tells_info.load(std::memory_order_relaxed) ? 1 : 0, room);
            case IP_RETOPTS:
            case IP_RECVERR:
                return give(0, room);
            default:
                return fail(Errno::enoprotoopt);
        }
    }
    if (level == IPPROTO_IPV6 && family() == family_v6) {
        switch (name) {
            case IPV6_V6ONLY:
                return give(own.only_v6.load(std::memory_order_relaxed) ? 1 : 0, room);
            case IPV6_UNICAST_HOPS:
                return give(own.hops.load(std::memory_order_relaxed), room);
            case IPV6_RECVHOPLIMIT:
                return give(own.tells_hops_v6.load(std::memory_order_relaxed) ? 1 : 0, room);
            case IPV6_RECVPKTINFO:
                return give(own.tells_info_v6.load(std::memory_order_relaxed) ? 1 : 0, room);
            case IPV6_TCLASS:
                return give(own.service.load(std::memory_order_relaxed), room);
            default:
                return fail(Errno::enoprotoopt);
        }
    }
    return fail(level == IPPROTO_IPV6 || level == IPPROTO_TCP || level == IPPROTO_UDP ? Errno::enoprotoopt
                                                                                      : Errno::eopnotsupp);
}

}  // namespace pv::net
