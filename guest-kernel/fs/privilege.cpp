// What the running program may.
// SPDX-License-Identifier: MIT
#include "fs/privilege.hpp"

#include "base/atomic.hpp"

namespace pv::fs {
namespace {

constinit Atomic<bool (*)(Capability)> ask{nullptr};

}  // namespace

void set_capability_check(bool (*check)(Capability)) {
    ask.store(check, std::memory_order_release);
}

bool is_capable(Capability capability) {
    const auto answer = ask.load(std::memory_order_acquire);
    return answer == nullptr || answer(capability);
}

}  // namespace pv::fs
