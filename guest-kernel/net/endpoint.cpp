// struct sockaddr_in and sockaddr_in6.
// SPDX-License-Identifier: MIT
#include "net/endpoint.hpp"

#include <algorithm>
#include <cstring>

#include "base/endian.hpp"

namespace pv::net {
namespace {

/// ip(7).
struct WireV4 {
    std::uint16_t family;
    std::uint16_t port;
    std::array<std::uint8_t, 4> address;
    std::array<std::uint8_t, 8> zero;
};

static_assert(sizeof(WireV4) == 16);

/// ipv6(7).
struct WireV6 {
    std::uint16_t family;
    std::uint16_t port;
    std::uint32_t flow;
    std::array<std::uint8_t, 16> address;
    std::uint32_t scope;
};

static_assert(sizeof(WireV6) == 28);

/// What programs of before RFC 3493 give: no scope.
constexpr std::size_t shortest_v6 = 24;

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

Outcome<Endpoint> read_endpoint(const fs::SocketAddress& address, std::uint16_t family) {
    Endpoint endpoint;
    if (family == family_v4) {
        WireV4 wire{};
        if (address.length < sizeof wire) {
            return fail(Errno::einval);
        }
        std::memcpy(&wire, address.bytes.data(), sizeof wire);
        if (wire.family != family_v4) {
            return fail(Errno::eafnosupport);
        }
        endpoint.port = byte_swap(wire.port);
        std::ranges::copy(wire.address, endpoint.address.begin());
        return endpoint;
    }
    WireV6 wire{};
    if (address.length < shortest_v6) {
        return fail(Errno::einval);
    }
    std::memcpy(&wire, address.bytes.data(), std::min(address.length, sizeof wire));
    if (wire.family != family_v6) {
        return fail(Errno::eafnosupport);
    }
    endpoint.port = byte_swap(wire.port);
    if (std::ranges::equal(std::span(wire.address).first(mapped_prefix.size()), mapped_prefix)) {
        std::copy_n(wire.address.begin() + mapped_prefix.size(), 4, endpoint.address.begin());
        return endpoint;
    }
    endpoint.is_v6 = true;
    endpoint.address = wire.address;
    endpoint.scope = address.length >= sizeof wire ? wire.scope : 0;
    return endpoint;
}

fs::SocketAddress write_endpoint(const Endpoint& endpoint, std::uint16_t family) {
    fs::SocketAddress address;
    if (family == family_v4) {
        WireV4 wire{.family = family_v4, .port = byte_swap(endpoint.port), .address = {}, .zero = {}};
        std::copy_n(endpoint.address.begin(), 4, wire.address.begin());
        std::memcpy(address.bytes.data(), &wire, sizeof wire);
        address.length = sizeof wire;
        return address;
    }
    WireV6 wire{.family = family_v6, .port = byte_swap(endpoint.port), .flow = 0, .address = {}, .scope = 0};
    if (endpoint.is_v6) {
        wire.address = endpoint.address;
        wire.scope = endpoint.scope;
    } else if (!endpoint.is_any()) {
        std::ranges::copy(mapped_prefix, wire.address.begin());
        std::copy_n(endpoint.address.begin(), 4, wire.address.begin() + mapped_prefix.size());
    }
    std::memcpy(address.bytes.data(), &wire, sizeof wire);
    address.length = sizeof wire;
    return address;
}

}  // namespace pv::net
