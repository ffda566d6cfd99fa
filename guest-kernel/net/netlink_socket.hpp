// AF_NETLINK sockets: questions about the network, answered at once (netlink(7)).
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/socket.hpp"

namespace pv::net {

/// What socket(2) makes; `raw`: as SO_TYPE tells it. Errors: eprotonosupport (NETLINK_ROUTE is all there is),
/// enomem.
[[nodiscard]] Outcome<Ref<fs::OpenFile>> create_netlink_socket(bool raw, int protocol, std::uint32_t flags);

}  // namespace pv::net
