// Numbers for waits and recoveries, unique for one boot.
// SPDX-License-Identifier: MIT
#include "base/marker.hpp"

#include "base/atomic.hpp"

namespace pv::marker {
namespace {

constinit Atomic<std::uint64_t> last_wait{0};
constinit Atomic<std::uint64_t> last_recovery{0};

}  // namespace

std::uint64_t next_wait() {
    return last_wait.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::uint64_t next_recovery() {
    return last_recovery.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace pv::marker
