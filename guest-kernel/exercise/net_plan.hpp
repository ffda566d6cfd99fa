// What the exercise is asked to do with the network: options of the command line, checked.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/address.hpp"

namespace pv::exercise {

/// docs/exercise.md says what each is for.
struct NetPlan {
    std::optional<net::Ip4Network> address;  ///< of the first interface; nothing: DHCP
    net::Ip4 gateway;
    net::Ip4 peer;                          ///< not set: the gateway
    Duration wait = Duration::seconds(15);  ///< for an address
    std::uint64_t pings = 32;
    std::uint64_t echo = 0;                   ///< bytes by TCP to the peer's port 7 and back
    Duration serve{};                         ///< at the end; zero: not at all
    std::uint64_t connections = 0;            ///< served ends after so many; 0: after the time
    Duration limit = Duration::seconds(120);  ///< of pings and echo together
};

/// Parses `key:value,key:value`; an empty text is the default plan. Error: invalid_argument, with a line on
/// the console that names the word.
[[nodiscard]] Result<NetPlan> parse_net_plan(std::string_view text);

}  // namespace pv::exercise
