// Who answers for /proc/net.
// SPDX-License-Identifier: MIT
#include "fs/network_view.hpp"

#include "base/atomic.hpp"

namespace pv::fs {
namespace {

constinit Atomic<NetworkWriter> network_writer{nullptr};

}  // namespace

void set_network_writer(NetworkWriter writer) {
    network_writer.store(writer, std::memory_order_release);
}

Outcome<> write_network(NetworkText which, Text& text) {
    const NetworkWriter writer = network_writer.load(std::memory_order_acquire);
    return writer == nullptr ? Outcome<>() : writer(which, text);
}

}  // namespace pv::fs
