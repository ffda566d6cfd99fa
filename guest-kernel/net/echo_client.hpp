// TCP to a peer's echo service: what comes back is compared with what was sent.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "net/address.hpp"
#include "net/stack.hpp"

namespace pv::net {

struct EchoFigures {
    std::uint64_t sent = 0;
    std::uint64_t returned = 0;
    std::uint64_t wrong = 0;  ///< bytes that are not what was sent
    Duration span;
};

/// Sends `bytes` to port 7 of `peer` by one connection, and closes it when all came back. Threads only, not
/// the network's. Errors: timed_out (not all came back until then), io (no connection, or it was reset),
/// device_failed (the network stopped), out_of_memory. `figures` says how far it came in any case.
Result<> echo(Stack& stack, const Ip4& peer, std::uint64_t bytes, Deadline deadline, EchoFigures& figures);

}  // namespace pv::net
