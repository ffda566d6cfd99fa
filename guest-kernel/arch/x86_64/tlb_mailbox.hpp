// One CPU's end of the shootdown protocol (arch/x86_64/tlb.hpp).
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>

namespace pv::arch::tlb {

/// Numbers of requests: the last one meant for this CPU, and the last one it has carried out. Zero: none.
struct Mailbox {
    std::atomic<std::uint64_t> requested{0};
    std::atomic<std::uint64_t> acknowledged{0};
    /// A sender gave up waiting for this CPU: what it asked for is still owed with the next request.
    std::atomic<bool> overdue{false};
};

}  // namespace pv::arch::tlb
