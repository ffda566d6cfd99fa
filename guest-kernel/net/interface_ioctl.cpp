// What programs ask about interfaces: their names, addresses and flags (netdevice(7)).
// SPDX-License-Identifier: MIT
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/sockios.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "net/endpoint.hpp"
#include "net/inet_socket.hpp"
#include "net/interface.hpp"
#include "net/machine.hpp"

namespace pv::net {
namespace {

/// struct ifreq: a name, then what is asked or told.
struct RequestValue {
    std::array<char, IFNAMSIZ> name;
    std::array<std::byte, 24> value;
};

static_assert(sizeof(RequestValue) == 40);
static_assert(sizeof(RequestValue) == sizeof(ifreq));

/// struct ifconf.
struct ListValue {
    std::int32_t length;
    std::int32_t pad;
    std::uint64_t at;
};

static_assert(sizeof(ListValue) == 16);

/// One interface, as it is at a moment.
struct Found {
    RequestValue request{};
    std::uint32_t address = 0;  ///< in network order, as the next two
    std::uint32_t mask = 0;
    std::uint32_t broadcast = 0;
    std::uint16_t flags = 0;
    std::uint16_t mtu = 0;
    int index = 0;
    bool is_loop = false;
    std::array<std::uint8_t, 6> hardware{};
};

constexpr std::size_t interfaces_max = 16;

struct All {
    std::array<Found, interfaces_max> list;
    std::size_t count = 0;
};

constexpr std::uint16_t loopback_mtu = 65535;

Found describe(const netif& lower) {
    Found found;
    found.is_loop = lower.name[0] == 'l' && lower.name[1] == 'o';
    const std::string_view name =
        found.is_loop ? "lo" : static_cast<Interface*>(lower.state)->device().name();
    std::copy_n(name.begin(), std::min<std::size_t>(name.size(), IFNAMSIZ - 1), found.request.name.begin());
    found.address = netif_ip4_addr(&lower)->addr;
    found.mask = netif_ip4_netmask(&lower)->addr;
    found.broadcast = found.is_loop ? 0 : found.address | ~found.mask;
    found.flags = static_cast<std::uint16_t>((netif_is_up(&lower) ? IFF_UP : 0) |
                                             (netif_is_link_up(&lower) ? IFF_RUNNING : 0) |
                                             (found.is_loop ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST));
    found.mtu = found.is_loop ? loopback_mtu : lower.mtu;
    found.index = netif_get_index(&lower);
    std::copy_n(std::begin(lower.hwaddr), found.hardware.size(), found.hardware.begin());
    return found;
}

Outcome<> find_all(All& all) {
    return on_network([&]() -> Outcome<> {
        const netif* lower = nullptr;
        NETIF_FOREACH(lower) {
            if (all.count < all.list.size()) {
                all.list[all.count++] = describe(*lower);
            }
        }
        // The first one first, as programs expect the loopback interface to be.
        std::ranges::sort(std::span(all.list).first(all.count), {}, &Found::index);
        return {};
    });
}

void put_address(RequestValue& request, std::uint32_t address) {
    request.value = {};
    std::memcpy(request.value.data(), &family_v4, sizeof family_v4);
    std::memcpy(request.value.data() + 4, &address, sizeof address);
}

template <class T>
void put_number(RequestValue& request, T number) {
    request.value = {};
    std::memcpy(request.value.data(), &number, sizeof number);
}

// SIOCGIFCONF: those that have an IPv4 address, as many as there is room for; the room needed where none is
// given.
Outcome<std::uint64_t> list(fs::IoctlArgument& argument) {
    ListValue wanted{};
    PV_TRY(argument.read(fs::writable_bytes_of(wanted)));
    All all;
    PV_TRY(find_all(all));
    std::array<RequestValue, interfaces_max> out;
    std::size_t count = 0;
    for (const Found& found : std::span(all.list).first(all.count)) {
        if (found.address != 0) {
            out[count] = found.request;
            put_address(out[count++], found.address);
        }
    }
    if (wanted.at != 0) {
        if (wanted.length < 0) {
            return fail(Errno::einval);
        }
        count = std::min(count, static_cast<std::size_t>(wanted.length) / sizeof(RequestValue));
        PV_TRY(argument.write_at(wanted.at, std::as_bytes(std::span(out).first(count))));
    }
    wanted.length = static_cast<std::int32_t>(count * sizeof(RequestValue));
    PV_TRY(argument.write(fs::bytes_of(wanted)));
    return 0;
}

Outcome<> answer(std::uint32_t request, const Found& found, RequestValue& value) {
    switch (request) {
        case SIOCGIFADDR:
        case SIOCGIFNETMASK:
        case SIOCGIFBRDADDR:
        case SIOCGIFDSTADDR:
            if (found.address == 0) {
                return fail(Errno::eaddrnotavail);
            }
            put_address(value, request == SIOCGIFNETMASK   ? found.mask
                               : request == SIOCGIFBRDADDR ? found.broadcast
                                                           : found.address);
            return {};
        case SIOCGIFFLAGS:
            put_number(value, found.flags);
            return {};
        case SIOCGIFMTU:
            put_number(value, static_cast<std::int32_t>(found.mtu));
            return {};
        case SIOCGIFINDEX:
            put_number(value, found.index);
            return {};
        case SIOCGIFMETRIC:
            put_number(value, 0);
            return {};
        case SIOCGIFTXQLEN:
            put_number(value, 1000);
            return {};
        case SIOCGIFHWADDR:
            put_number(value, static_cast<std::uint16_t>(found.is_loop ? ARPHRD_LOOPBACK : ARPHRD_ETHER));
            if (!found.is_loop) {
                std::memcpy(value.value.data() + 2, found.hardware.data(), found.hardware.size());
            }
            return {};
        default:
            return fail(Errno::enotty);
    }
}

}  // namespace

Outcome<std::uint64_t> interface_ioctl(std::uint32_t request, fs::IoctlArgument& argument) {
    if (request == SIOCGIFCONF) {
        return list(argument);
    }
    constexpr std::uint32_t first = SIOCGIFNAME;
    constexpr std::uint32_t last = SIOCGIFTXQLEN;
    if (request < first || request > last) {
        return fail(Errno::enotty);
    }
    RequestValue value{};
    PV_TRY(argument.read(fs::writable_bytes_of(value)));
    value.name.back() = '\0';
    int index = 0;
    std::memcpy(&index, value.value.data(), sizeof index);
    All all;
    PV_TRY(find_all(all));
    for (const Found& found : std::span(all.list).first(all.count)) {
        const bool is_named = std::string_view(found.request.name.data()) == value.name.data();
        if (request == SIOCGIFNAME ? found.index != index : !is_named) {
            continue;
        }
        if (request == SIOCGIFNAME) {
            value.name = found.request.name;
        } else {
            PV_TRY(answer(request, found, value));
        }
        PV_TRY(argument.write(fs::bytes_of(value)));
        return 0;
    }
    return fail(Errno::enodev);
}

}  // namespace pv::net
