// What lwIP tells a connection.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "net/tcp_core.hpp"

extern "C" {
#include "lwip/err.h"
#include "lwip/ip_addr.h"
}

namespace pv::net {

// The network's thread.

/// From now on lwIP tells `core` what happens to `block`.
void attach_callbacks(TcpCore& core, tcp_pcb& block);
void detach_callbacks(tcp_pcb& block);

[[nodiscard]] err_t begin_connecting(tcp_pcb& block, const ip_addr_t& to, std::uint16_t port);

}  // namespace pv::net
