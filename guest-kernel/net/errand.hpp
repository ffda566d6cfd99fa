// Work for the network's thread that nobody waits for.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/atomic.hpp"
#include "base/ref.hpp"

namespace pv::net {

/// Asked for any number of times (net/machine.hpp), served at least once after each. The network owns it from
/// the one to the other.
class Errand : public RefCounted {
  public:
    /// On the network's thread, inside port::guarded: may call lwIP, must not wait.
    virtual void serve() = 0;

  private:
    friend class Stack;

    Atomic<bool> is_asked_{false};
    Errand* next_ = nullptr;  ///< guarded by the network's lock
};

}  // namespace pv::net
