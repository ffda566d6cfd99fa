// Endpoints as lwIP's addresses, and what lwIP's errors mean to a program.
// SPDX-License-Identifier: MIT
#pragma once

#include "net/endpoint.hpp"

extern "C" {
#include "lwip/err.h"
#include "lwip/ip_addr.h"
}

namespace pv::net {

[[nodiscard]] ip_addr_t to_lwip(const Endpoint& endpoint);
[[nodiscard]] Endpoint from_lwip(const ip_addr_t& address, std::uint16_t port);

/// The type of control blocks for sockets of a family. `only_v6`: IPV6_V6ONLY.
[[nodiscard]] std::uint8_t lwip_type(std::uint16_t family, bool only_v6);

/// What bind(2) gives lwIP: an AF_INET6 socket's unspecified address is IPv4's too, unless `only_v6`.
/// Errors: eaddrnotavail (no address of this machine), einval (an IPv4 address with `only_v6`).
[[nodiscard]] Outcome<ip_addr_t> to_bind(const Endpoint& endpoint, std::uint16_t family, bool only_v6);

/// Where connect(2) and sendto(2) really go: the unspecified address is this machine (ip(7)).
[[nodiscard]] Endpoint destination_of(const Endpoint& to);

/// The address this machine sends from. Errors: enetunreach.
[[nodiscard]] Outcome<ip_addr_t> source_for(const ip_addr_t& to);

[[nodiscard]] Errno to_errno(err_t error);

}  // namespace pv::net
