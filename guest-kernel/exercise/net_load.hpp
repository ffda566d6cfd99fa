// A load of a network that `traffic=` on the command line describes: one kind of traffic, counted and timed.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "exercise/network.hpp"

namespace pv::exercise {

/// Parses and runs it, and prints `load: operations N nanoseconds T`. Threads only. Errors: invalid_argument
/// (with a line on the console), out_of_range (no network), and what the traffic met.
Result<> net_load(Network& network, std::string_view text);

}  // namespace pv::exercise
