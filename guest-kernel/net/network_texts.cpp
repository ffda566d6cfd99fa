// What /proc/net says of interfaces, routes, servers and sockets.
// SPDX-License-Identifier: MIT
#include "net/network_texts.hpp"

#include <linux/in.h>

#include <array>
#include <cstring>

#include "net/interface.hpp"
#include "net/machine.hpp"
#include "net/sockets.hpp"

extern "C" {
#include "lwip/dns.h"
}

namespace pv::net {
namespace {

/// Hexadecimal digits as Linux writes them here: capital.
class Hex {
  public:
    Hex(std::uint32_t number, std::size_t width) : width_(width) {
        for (std::size_t i = 0; i < width; ++i) {
            digits_[width - 1 - i] = "0123456789ABCDEF"[number >> 4 * i & 0xf];
        }
    }

    [[nodiscard]] std::string_view text() const { return {digits_.data(), width_}; }

  private:
    std::array<char, 8> digits_{};
    std::size_t width_;
};

bool is_loop(const netif& lower) {
    return lower.name[0] == 'l' && lower.name[1] == 'o';
}

std::string_view name_of(const netif& lower) {
    return is_loop(lower) ? "lo" : static_cast<Interface*>(lower.state)->device().name();
}

void add_device(fs::Text& text, const netif& lower) {
    Counters count;
    std::uint64_t dropped = 0;
    if (is_loop(lower)) {
        const auto& counters = lower.mib2_counters;
        count.received = counters.ifinucastpkts;
        count.received_bytes = counters.ifinoctets;
        count.sent = counters.ifoutucastpkts;
        count.sent_bytes = counters.ifoutoctets;
        dropped = counters.ifoutdiscards;
    } else {
        count = static_cast<Interface*>(lower.state)->device().counters();
        dropped = count.send_full;
    }
    text.add(
        "{:>6}: {:>7} {:>7}    0    0    0     0          0         0 {:>8} {:>7}    0 {:>4}    0     0 "
        "      0          0\n",
        name_of(lower), count.received_bytes, count.received, count.sent_bytes, count.sent, dropped);
}

void write_devices(fs::Text& text) {
    text.append(
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
        "colls carrier compressed\n");
    const netif* lower = nullptr;
    NETIF_FOREACH(lower) {
        add_device(text, *lower);
    }
}

void add_route(fs::Text& text, const netif& lower, std::uint32_t to, std::uint32_t by, std::uint32_t mask) {
    constexpr std::uint32_t up = 1;
    constexpr std::uint32_t gateway = 2;
    text.add("{}\t{}\t{}\t{}\t0\t0\t0\t{}\t0\t0\t0\n", name_of(lower), Hex(to, 8).text(), Hex(by, 8).text(),
             Hex(by != 0 ? up | gateway : up, 4).text(), Hex(mask, 8).text());
}

void write_routes(fs::Text& text) {
    text.append("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
    const netif* lower = nullptr;
    NETIF_FOREACH(lower) {
        const std::uint32_t address = netif_ip4_addr(lower)->addr;
        if (is_loop(*lower) || address == 0) {
            continue;
        }
        if (netif_ip4_gw(lower)->addr != 0 && lower == netif_default) {
            add_route(text, *lower, 0, netif_ip4_gw(lower)->addr, 0);
        }
        const std::uint32_t mask = netif_ip4_netmask(lower)->addr;
        add_route(text, *lower, address & mask, 0, mask);
    }
}

void write_name_servers(fs::Text& text) {
    for (std::uint8_t i = 0; i < DNS_MAX_SERVERS; ++i) {
        const ip_addr_t* server = dns_getserver(i);
        if (!ip_addr_isany(server) && IP_IS_V4_VAL(*server)) {
            Ip4 address;
            std::memcpy(address.bytes.data(), &ip_2_ip4(server)->addr, address.bytes.size());
            text.add("nameserver {}\n", AddressText{address});
        }
    }
}

// An address as the machine's words of it, then the port.
void add_endpoint(fs::Text& text, const Endpoint& endpoint, std::uint16_t family) {
    std::array<std::uint8_t, 16> bytes{};
    if (family == family_v4 || endpoint.is_v6) {
        bytes = endpoint.address;
    } else if (!endpoint.is_any()) {
        bytes[10] = bytes[11] = 0xff;
        std::memcpy(bytes.data() + 12, endpoint.address.data(), 4);
    }
    for (std::size_t at = 0; at < (family == family_v4 ? 4U : 16U); at += 4) {
        std::uint32_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof word);
        text.append(Hex(word, 8).text());
    }
    text.add(":{}", Hex(endpoint.port, 4).text());
}

void write_sockets(fs::Text& text, int protocol, std::uint16_t family) {
    text.append(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n");
    unsigned line = 0;
    for_each_enlisted([&](SocketCore& core) {
        const SocketFacts facts = core.facts();
        if (facts.protocol != protocol || facts.family != family || facts.local.port == 0) {
            return;
        }
        text.add("{:>4}: ", line++);
        add_endpoint(text, facts.local, family);
        text.append(" ");
        add_endpoint(text, facts.remote, family);
        text.add(" {} {}:{} 00:00000000 00000000     0        0 {}\n", Hex(facts.state, 2).text(),
                 Hex(static_cast<std::uint32_t>(facts.to_send), 8).text(),
                 Hex(static_cast<std::uint32_t>(facts.received), 8).text(),
                 core.file_number.load(std::memory_order_relaxed));
    });
}

}  // namespace

Outcome<> write_network(fs::NetworkText which, fs::Text& text) {
    return on_network([&]() -> Outcome<> {
        switch (which) {
            case fs::NetworkText::devices:
                write_devices(text);
                break;
            case fs::NetworkText::routes:
                write_routes(text);
                break;
            case fs::NetworkText::name_servers:
                write_name_servers(text);
                break;
            case fs::NetworkText::tcp:
                write_sockets(text, IPPROTO_TCP, family_v4);
                break;
            case fs::NetworkText::tcp6:
                write_sockets(text, IPPROTO_TCP, family_v6);
                break;
            case fs::NetworkText::udp:
                write_sockets(text, IPPROTO_UDP, family_v4);
                break;
            case fs::NetworkText::udp6:
                write_sockets(text, IPPROTO_UDP, family_v6);
                break;
        }
        return {};
    });
}

}  // namespace pv::net
