// The tree of processes between the files that change it.
// SPDX-License-Identifier: MIT
#pragma once

#include "task/process.hpp"

namespace pv::task {

// With the tree's lock held.

/// Takes a thread out of its process and the tables. True when it was the last one.
[[nodiscard]] bool retire(UserThread& thread);
/// Takes an ended child out of the tree; the caller becomes the owner of the tree's part.
[[nodiscard]] Ref<Process> remove_child(Process& child);
/// The one with the lowest number from `id` on; nullptr: none.
[[nodiscard]] Process* find_process_from(ProcessId id);

/// Counts for /proc.
struct TreeFacts {
    std::size_t processes = 0;
    std::size_t threads = 0;
    ProcessId last_id = 0;   ///< given out last
    std::uint64_t made = 0;  ///< threads ever made
};

[[nodiscard]] TreeFacts tree_facts();
/// The first process; nullptr before there is one and once it has been taken.
[[nodiscard]] Process* first_process();
/// Gives `thread` the number `id`, that of its process, whose first thread has ended.
void take_number(UserThread& thread, ProcessId id);

/// Makes a signal pending and wakes who takes it. `entry`: memory for its information, or nullptr; what is
/// not used is left in it.
void post_signal(Process& process, int signal, const SignalInfo& info, PendingSignals::Queued*& entry);
void post_signal(UserThread& thread, int signal, const SignalInfo& info, PendingSignals::Queued*& entry);
/// Wakes a thread out of whatever it waits for.
void wake(UserThread& thread);

}  // namespace pv::task
