// All sockets of programs on the network's thread, and the news of unreachable ports.
// SPDX-License-Identifier: MIT
#include "net/sockets.hpp"

#include <array>
#include <cstring>

#include "net/lwip_endpoint.hpp"
#include "task/on_first_use.hpp"

extern "C" {
#include "lwip/icmp.h"
#include "lwip/ip.h"
#include "lwip/prot/icmp6.h"
#include "lwip/raw.h"
}

namespace pv::net {
namespace {

// All of it is the network's thread's.
using Cores = boost::intrusive::list<SocketCore, boost::intrusive::constant_time_size<true>>;

constinit task::OnFirstUse<Cores> cores;

constinit raw_pcb* icmp_listener = nullptr;
constinit raw_pcb* icmp6_listener = nullptr;

constexpr std::uint8_t udp_protocol = 17;

std::uint16_t number_at(const std::uint8_t* bytes) {
    return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}

void tell_unreachable(const Endpoint& local, const Endpoint& remote) {
    for (SocketCore& core : *cores) {
        core.unreachable(local, remote);
    }
}

// Port unreachable (RFC 792): type 3, code 3, then the IPv4 header and 8 bytes of what was sent.
u8_t on_icmp(void*, raw_pcb*, pbuf* packet, const ip_addr_t*) {
    std::array<std::uint8_t, 8 + 60 + 4> bytes{};
    const std::uint16_t count =
        pbuf_copy_partial(packet, bytes.data(), bytes.size(), ip_current_header_tot_len());
    const std::uint8_t* inner = bytes.data() + 8;
    const std::size_t header = std::size_t{inner[0] & 0xfU} * 4;
    if (bytes[0] != ICMP_DUR || bytes[1] != ICMP_DUR_PORT || inner[0] >> 4 != 4 || header < 20 ||
        count < 8 + header + 4 || inner[9] != udp_protocol) {
        return 0;
    }
    Endpoint from{.port = number_at(inner + header)};
    Endpoint to{.port = number_at(inner + header + 2)};
    std::memcpy(from.address.data(), inner + 12, 4);
    std::memcpy(to.address.data(), inner + 16, 4);
    tell_unreachable(from, to);
    return 0;  // lwIP looks at it as well
}

// The same of RFC 4443: type 1, code 4, then the IPv6 header and as much as there is.
u8_t on_icmp6(void*, raw_pcb*, pbuf* packet, const ip_addr_t*) {
    constexpr std::size_t header = 40;
    std::array<std::uint8_t, 8 + header + 4> bytes{};
    const std::uint16_t count =
        pbuf_copy_partial(packet, bytes.data(), bytes.size(), ip_current_header_tot_len());
    const std::uint8_t* inner = bytes.data() + 8;
    if (count < bytes.size() || bytes[0] != ICMP6_TYPE_DUR || bytes[1] != ICMP6_DUR_PORT ||
        inner[6] != udp_protocol) {
        return 0;
    }
    Endpoint from{.is_v6 = true};
    Endpoint to{.is_v6 = true};
    std::memcpy(from.address.data(), inner + 8, from.address.size());
    std::memcpy(to.address.data(), inner + 24, to.address.size());
    from.port = number_at(inner + header);
    to.port = number_at(inner + header + 2);
    tell_unreachable(from, to);
    return 0;
}

void end_all(bool usable) {
    while (!cores->empty()) {
        cores->front().network_ends(usable);  // which retires it
    }
}

}  // namespace

void start_sockets() {
    icmp_listener = raw_new_ip_type(IPADDR_TYPE_V4, IP_PROTO_ICMP);
    if (icmp_listener != nullptr) {
        raw_recv(icmp_listener, on_icmp, nullptr);
    }
    icmp6_listener = raw_new_ip_type(IPADDR_TYPE_V6, IP6_NEXTH_ICMP6);
    if (icmp6_listener != nullptr) {
        raw_recv(icmp6_listener, on_icmp6, nullptr);
    }
}

void stop_sockets() {
    for (raw_pcb** listener : {&icmp_listener, &icmp6_listener}) {
        if (*listener != nullptr) {
            raw_remove(*listener);
            *listener = nullptr;
        }
    }
    end_all(true);
}

void abandon_sockets() {
    end_all(false);
}

void enlist(SocketCore& core) {
    core.add_owner();
    cores->push_back(core);
}

void retire(SocketCore& core) {
    cores->erase(cores->iterator_to(core));
    core.drop_owner();
}

void for_each_enlisted(FunctionRef<void(SocketCore&)> each) {
    for (SocketCore& core : *cores) {
        each(core);
    }
}

std::size_t enlisted_count() {
    return cores->size();
}

}  // namespace pv::net
