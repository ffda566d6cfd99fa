// What NETLINK_ROUTE answers about links, addresses and routes (rtnetlink(7)): read only.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/errno.hpp"
#include "base/vector.hpp"

namespace pv::net {

/// One datagram for the program.
using NetlinkAnswer = Vector<std::byte>;

/// Answers one request (a nlmsghdr with what follows it, whole) of the socket that `port` names, with one or
/// more datagrams: lists of links, addresses and IPv4 routes, one link; for everything else an error message,
/// which is EPERM for changes where the program is not `privileged`, EOPNOTSUPP otherwise. Nothing for what
/// is no request. Threads only. Errors: enomem, enetdown.
[[nodiscard]] Outcome<> answer_netlink(std::span<const std::byte> request, std::uint32_t port,
                                       bool privileged, Vector<NetlinkAnswer>& answers);

}  // namespace pv::net
