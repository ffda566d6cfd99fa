// Echo requests (RFC 792) to a peer, each answer compared with what was sent.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "net/address.hpp"
#include "net/stack.hpp"

namespace pv::net {

struct PingPlan {
    Ip4 peer;
    std::uint64_t count = 32;
    Duration patience = Duration::seconds(1);  ///< with each request
    unsigned attempts = 3;                     ///< of each
};

struct PingFigures {
    std::uint64_t answered = 0;
    std::uint64_t lost = 0;      ///< never answered, however often asked
    std::uint64_t repeated = 0;  ///< asked again
    std::uint64_t wrong = 0;     ///< answered with other data
    std::uint64_t bytes = 0;     ///< of payload that came back right
};

/// Payloads of 0 to 1400 bytes, one request at a time. Threads only, not the network's. Ends at `deadline` at
/// the latest; what was not asked by then counts as lost. Errors: out_of_memory, device_failed (the network
/// stopped).
[[nodiscard]] Result<PingFigures> ping(Stack& stack, const PingPlan& plan, Deadline deadline);

}  // namespace pv::net
