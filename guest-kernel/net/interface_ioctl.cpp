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
#include "net/interface_facts.hpp"

namespace pv::net {
namespace {

/// struct ifreq: a name, then what is asked or told.
struct RequestValue {
    std::array<char, InterfaceFacts::name_size> name;
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
    AllInterfaces all;
    PV_TRY(find_interfaces(all));
    std::array<RequestValue, AllInterfaces::most> out;
    std::size_t count = 0;
    for (const InterfaceFacts& found : all.view()) {
        if (found.address != 0) {
            out[count].name = found.name;
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

Outcome<> answer(std::uint32_t request, const InterfaceFacts& found, RequestValue& value) {
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
    AllInterfaces all;
    PV_TRY(find_interfaces(all));
    for (const InterfaceFacts& found : all.view()) {
        const bool is_named = found.name_text() == value.name.data();
        if (request == SIOCGIFNAME ? found.index != index : !is_named) {
            continue;
        }
        if (request == SIOCGIFNAME) {
            value.name = found.name;
        } else {
            PV_TRY(answer(request, found, value));
        }
        PV_TRY(argument.write(fs::bytes_of(value)));
        return 0;
    }
    return fail(Errno::enodev);
}

}  // namespace pv::net
