// The one network that programs' sockets are on, for as long as it is there.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/errno.hpp"
#include "base/function_ref.hpp"
#include "net/errand.hpp"

namespace pv::net {

class Stack;

/// Sockets use `stack` from now on, until withdraw() has returned.
void offer(Stack& stack);
/// Waits for those who use it at this moment.
void withdraw();

/// As Stack::ask; nothing where there is no network.
void ask(Errand& errand);

/// Runs `job`, which returns Outcome<>, on the network's thread; returns its outcome when it is done. Jobs do
/// not wait, and turns of the network are bounded, so this is no wait for somebody else. Threads only. Error:
/// enetdown besides the job's.
[[nodiscard]] Outcome<> on_network(FunctionRef<Outcome<>()> job);

}  // namespace pv::net
