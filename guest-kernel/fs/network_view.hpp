// What /proc/net tells, as questions: whoever runs the network answers them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "fs/synthetic.hpp"

namespace pv::fs {

/// Each in the form of Linux's file of that name.
enum class NetworkText : std::uint8_t {
    devices,       ///< dev
    routes,        ///< route
    name_servers,  ///< pnp: what DHCP gave, in resolv.conf(5)'s words
    tcp,
    tcp6,
    udp,
    udp6,
};

/// Threads, no spinlock held. Errors go to the reader.
using NetworkWriter = Outcome<> (*)(NetworkText which, Text& text);

/// Any time; without one the files are empty.
void set_network_writer(NetworkWriter writer);
[[nodiscard]] Outcome<> write_network(NetworkText which, Text& text);

}  // namespace pv::fs
