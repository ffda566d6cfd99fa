// The interfaces there are.
// SPDX-License-Identifier: MIT
#include "net/interface_facts.hpp"

#include <linux/if.h>

#include <algorithm>
#include <cstring>

#include "net/interface.hpp"
#include "net/machine.hpp"

namespace pv::net {
namespace {

constexpr std::uint16_t loopback_mtu = 65535;

InterfaceFacts describe(const netif& lower) {
    InterfaceFacts found;
    found.is_loop = lower.name[0] == 'l' && lower.name[1] == 'o';
    const std::string_view name =
        found.is_loop ? "lo" : static_cast<Interface*>(lower.state)->device().name();
    std::copy_n(name.begin(), std::min(name.size(), found.name.size() - 1), found.name.begin());
    found.address = netif_ip4_addr(&lower)->addr;
    found.mask = netif_ip4_netmask(&lower)->addr;
    found.broadcast = found.is_loop ? 0 : found.address | ~found.mask;
    found.gateway = &lower == netif_default && !found.is_loop ? netif_ip4_gw(&lower)->addr : 0;
    found.flags = static_cast<std::uint16_t>((netif_is_up(&lower) ? IFF_UP : 0) |
                                             (netif_is_link_up(&lower) ? IFF_RUNNING : 0) |
                                             (found.is_loop ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST));
    found.mtu = found.is_loop ? loopback_mtu : lower.mtu;
    found.index = netif_get_index(&lower);
    std::copy_n(std::begin(lower.hwaddr), found.hardware.size(), found.hardware.begin());
    for (std::int8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES && found.v6_count < found.v6.size(); ++i) {
        if (ip6_addr_isvalid(netif_ip6_addr_state(&lower, i))) {
            std::memcpy(found.v6[found.v6_count++].data(), netif_ip6_addr(&lower, i)->addr, 16);
        }
    }
    return found;
}

}  // namespace

Outcome<> find_interfaces(AllInterfaces& all) {
    return on_network([&]() -> Outcome<> {
        const netif* lower = nullptr;
        NETIF_FOREACH(lower) {
            if (all.count < all.list.size()) {
                all.list[all.count++] = describe(*lower);
            }
        }
        // The first one first, as programs expect the loopback interface to be.
        std::ranges::sort(std::span(all.list).first(all.count), {}, &InterfaceFacts::index);
        return {};
    });
}

}  // namespace pv::net
