// /proc/sysvipc.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/ipc_view.hpp"

namespace pv::linux {

/// Before the first program starts.
void start_ipc_view();

// One line of the file each, of all there are; as shmctl and its kin tell them.
void write_segments(fs::Text& text);
void write_semaphores(fs::Text& text);
void write_queues(fs::Text& text);

}  // namespace pv::linux
