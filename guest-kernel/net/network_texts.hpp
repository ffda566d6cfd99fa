// The texts of /proc/net (proc(5)).
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/network_view.hpp"

namespace pv::net {

/// Threads of programs. Error: enetdown.
[[nodiscard]] Outcome<> write_network(fs::NetworkText which, fs::Text& text);

}  // namespace pv::net
