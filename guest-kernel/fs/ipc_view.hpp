// What /proc/sysvipc tells, as questions: whoever has System V objects answers them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "fs/synthetic.hpp"

namespace pv::fs {

/// Each in the form of Linux's file of that name.
enum class IpcText : std::uint8_t { queues, semaphores, segments };

/// Threads, no spinlock held. Errors go to the reader.
using IpcWriter = Outcome<> (*)(IpcText which, Text& text);

/// Any time; without one the files are empty.
void set_ipc_writer(IpcWriter writer);
[[nodiscard]] Outcome<> write_ipc(IpcText which, Text& text);

}  // namespace pv::fs
