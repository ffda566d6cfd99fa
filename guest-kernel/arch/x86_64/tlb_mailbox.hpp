// One CPU's end of the shootdown protocol (arch/x86_64/tlb.hpp).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"

namespace pv::arch::tlb {

/// Numbers of requests: the last one meant for this CPU, and the last one it has carried out. Zero: none.
struct Mailbox {
    Atomic<std::uint64_t> requested{0};
    Atomic<std::uint64_t> acknowledged{0};
    /// A sender gave up waiting for this CPU: what it asked for is still owed with the next request.
    Atomic<bool> overdue{false};
};

}  // namespace pv::arch::tlb
