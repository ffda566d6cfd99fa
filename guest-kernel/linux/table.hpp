// All system calls this kernel has.
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "linux/call.hpp"

namespace pv::linux {

// One list a theme; table.cpp joins them.
extern const std::span<const Entry> memory_calls;
extern const std::span<const Entry> process_calls;
extern const std::span<const Entry> schedule_calls;
extern const std::span<const Entry> policy_calls;
extern const std::span<const Entry> signal_calls;
extern const std::span<const Entry> time_calls;
extern const std::span<const Entry> timer_calls;
extern const std::span<const Entry> file_calls;
extern const std::span<const Entry> lock_calls;
extern const std::span<const Entry> path_calls;
extern const std::span<const Entry> poll_calls;
extern const std::span<const Entry> aio_calls;
extern const std::span<const Entry> epoll_calls;
extern const std::span<const Entry> event_calls;
extern const std::span<const Entry> socket_calls;
extern const std::span<const Entry> message_calls;
extern const std::span<const Entry> mount_calls;
extern const std::span<const Entry> notify_calls;
extern const std::span<const Entry> transfer_calls;
extern const std::span<const Entry> storage_calls;
extern const std::span<const Entry> identity_calls;
extern const std::span<const Entry> trace_calls;
extern const std::span<const Entry> rare_calls;
extern const std::span<const Entry> control_calls;
extern const std::span<const Entry> shared_calls;
extern const std::span<const Entry> semaphore_calls;
extern const std::span<const Entry> queue_calls;
extern const std::span<const Entry> system_calls;

/// Makes the table by number. Once, before the first program.
void start_calls();

/// The entry with that number, nullptr when there is none.
[[nodiscard]] const Entry* find_call(std::uint32_t number);

}  // namespace pv::linux
