// Addresses between programs and lwIP, and the way to one.
// SPDX-License-Identifier: MIT
#include "net/lwip_endpoint.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include "lwip/ip.h"
#include "lwip/netif.h"
}

namespace pv::net {
namespace {

bool is_loopback(const ip_addr_t& address) {
    return ip_addr_isloopback(&address);
}

bool is_own(const ip_addr_t& address) {
    const netif* lower = nullptr;
    NETIF_FOREACH(lower) {
        if (IP_IS_V6_VAL(address)) {
            for (unsigned i = 0; i < LWIP_IPV6_NUM_ADDRESSES; ++i) {
                const auto slot = static_cast<s8_t>(i);
                if (ip6_addr_isvalid(netif_ip6_addr_state(lower, slot)) &&
                    ip6_addr_cmp_zoneless(ip_2_ip6(&address), netif_ip6_addr(lower, slot))) {
                    return true;
                }
            }
        } else if (ip4_addr_cmp(ip_2_ip4(&address), netif_ip4_addr(lower))) {
            return true;
        }
    }
    return false;
}

}  // namespace

ip_addr_t to_lwip(const Endpoint& endpoint) {
    ip_addr_t address{};
    if (!endpoint.is_v6) {
        IP_SET_TYPE_VAL(address, IPADDR_TYPE_V4);
        std::memcpy(&ip_2_ip4(&address)->addr, endpoint.address.data(), 4);
        return address;
    }
    IP_SET_TYPE_VAL(address, IPADDR_TYPE_V6);
    ip6_addr_t& to = *ip_2_ip6(&address);
    std::memcpy(to.addr, endpoint.address.data(), endpoint.address.size());
    ip6_addr_clear_zone(&to);
    if (ip6_addr_has_scope(&to, IP6_UNKNOWN)) {
        if (endpoint.scope != 0 && endpoint.scope < NETIF_NO_INDEX + 256U) {
            ip6_addr_set_zone(&to, static_cast<u8_t>(endpoint.scope));
        } else {
            ip6_addr_select_zone(&to, &to);
        }
    }
    return address;
}

Endpoint from_lwip(const ip_addr_t& address, std::uint16_t port) {
    Endpoint endpoint;
    endpoint.port = port;
    if (IP_IS_V6_VAL(address)) {
        endpoint.is_v6 = true;
        std::memcpy(endpoint.address.data(), ip_2_ip6(&address)->addr, endpoint.address.size());
        endpoint.scope = ip6_addr_zone(ip_2_ip6(&address));
    } else if (IP_IS_ANY_TYPE_VAL(address)) {
        endpoint.is_v6 = true;
    } else {
        std::memcpy(endpoint.address.data(), &ip_2_ip4(&address)->addr, 4);
    }
    return endpoint;
}

std::uint8_t lwip_type(std::uint16_t family, bool only_v6) {
    if (family == family_v4) {
        return IPADDR_TYPE_V4;
    }
    return only_v6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

Outcome<ip_addr_t> to_bind(const Endpoint& endpoint, std::uint16_t family, bool only_v6) {
    if (only_v6 && !endpoint.is_v6) {
        return fail(Errno::einval);
    }
    if (endpoint.is_any()) {
        if (family == family_v6 && endpoint.is_v6 && !only_v6) {
            return *IP_ANY_TYPE;
        }
        return endpoint.is_v6 ? *IP6_ADDR_ANY : *IP4_ADDR_ANY;
    }
    const ip_addr_t address = to_lwip(endpoint);
    return is_own(address) ? Outcome<ip_addr_t>(address) : fail(Errno::eaddrnotavail);
}

Endpoint destination_of(const Endpoint& to) {
    Endpoint where = to;
    if (to.is_any() && to.is_v6) {
        where.address.back() = 1;
    } else if (to.is_any()) {
        where.address[0] = 127;
        where.address[3] = 1;
    }
    return where;
}

Outcome<ip_addr_t> source_for(const ip_addr_t& to) {
    ip_addr_t none{};
    IP_SET_TYPE_VAL(none, IP_GET_TYPE(&to));
    netif* lower = ip_route(&none, &to);
    if (lower == nullptr) {
        return fail(Errno::enetunreach);
    }
    const bool is_loop = lower->name[0] == 'l' && lower->name[1] == 'o';
    if (is_loop != is_loopback(to) && !is_own(to)) {
        return fail(Errno::enetunreach);
    }
    const ip_addr_t* source = ip_netif_get_local_ip(lower, &to);
    if (source == nullptr || ip_addr_isany(source)) {
        return fail(Errno::enetunreach);
    }
    // Who has no address of the whole Internet does not get there.
    if (IP_IS_V6_VAL(to) && !ip_addr_islinklocal(&to) && !ip_addr_ismulticast(&to) &&
        ip_addr_islinklocal(source)) {
        return fail(Errno::enetunreach);
    }
    return *source;
}

Errno to_errno(err_t error) {
    switch (error) {
        case ERR_USE:
            return Errno::eaddrinuse;
        case ERR_RTE:
            return Errno::enetunreach;
        case ERR_RST:
            return Errno::econnreset;
        case ERR_ABRT:
        case ERR_TIMEOUT:
            return Errno::etimedout;
        case ERR_ISCONN:
            return Errno::eisconn;
        case ERR_CONN:
        case ERR_CLSD:
            return Errno::enotconn;
        case ERR_MEM:
        case ERR_BUF:
            return Errno::enobufs;
        default:
            return Errno::einval;
    }
}

}  // namespace pv::net
