// An address with a port as programs write it, and as the kernel keeps it.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

#include "base/errno.hpp"
#include "fs/socket.hpp"

namespace pv::net {

inline constexpr std::uint16_t family_v4 = 2;   ///< AF_INET
inline constexpr std::uint16_t family_v6 = 10;  ///< AF_INET6

/// An IPv4 address that an AF_INET6 program writes as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) is one of IPv4 here.
struct Endpoint {
    bool is_v6 = false;
    std::array<std::uint8_t, 16> address{};  ///< in network order; of IPv4 the first four
    std::uint16_t port = 0;
    std::uint32_t scope = 0;  ///< sin6_scope_id

    [[nodiscard]] bool is_any() const { return address == decltype(address){}; }

    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// Errors: einval (too short), eafnosupport (another family than the socket's).
[[nodiscard]] Outcome<Endpoint> read_endpoint(const fs::SocketAddress& address, std::uint16_t family);

/// As a socket of `family` tells it.
[[nodiscard]] fs::SocketAddress write_endpoint(const Endpoint& endpoint, std::uint16_t family);

}  // namespace pv::net
