// What calls on scheduling have in common: whom they mean, and who may.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/resource.h>

#include "linux/call.hpp"

namespace pv::linux {

// The tree's lock is held in all of these.

/// The thread with that number, 0 for the caller's. Error: esrch.
[[nodiscard]] inline Outcome<task::UserThread*> thread_of(Call& call, task::ProcessId id) {
    task::UserThread* thread = id == 0 ? &call.thread : task::find_thread(id);
    if (thread == nullptr) {
        return fail(Errno::esrch);
    }
    return thread;
}

/// Whether the caller may change how another one is scheduled.
[[nodiscard]] inline bool may_schedule(const Call& call, const task::Identity& other) {
    const task::Identity& self = call.thread.identity;
    return self.has(Capability::sys_nice) || self.effective_user == other.user ||
           self.effective_user == other.effective_user;
}

/// Whether it may give threads of `other` less niceness than they have, down to `nice` (RLIMIT_NICE counts
/// the other way round).
[[nodiscard]] inline bool may_be_as_nice(const Call& call, const task::Process& other, int nice) {
    constexpr int least = 20;
    return call.thread.identity.has(Capability::sys_nice) ||
           static_cast<std::uint64_t>(least - nice) <= other.limits[RLIMIT_NICE].soft;
}

}  // namespace pv::linux
