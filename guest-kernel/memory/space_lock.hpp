// Holding an address space's lock.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/panic.hpp"
#include "task/lock.hpp"

namespace pv::memory {

class SpaceGuard {
  public:
    explicit SpaceGuard(task::Mutex& lock) : lock_(lock) {
        const Result<> locked =
            lock.lock(Deadline::never("an address space is held for one call or fault only"));
        PV_ASSERT(locked.has_value());
    }

    SpaceGuard(const SpaceGuard&) = delete;
    SpaceGuard& operator=(const SpaceGuard&) = delete;

    ~SpaceGuard() { lock_.unlock(); }

  private:
    task::Mutex& lock_;
};

}  // namespace pv::memory
