// Locks of files in calls.
// SPDX-License-Identifier: MIT
#pragma once

#include "linux/call.hpp"

namespace pv::linux {

/// fcntl's F_GETLK, F_SETLK, F_SETLKW and the same of open files (F_OFD_*). Errors: as fcntl(2).
[[nodiscard]] Value lock_range(Call& call, fs::OpenFile& file, int command, std::uint64_t argument);

}  // namespace pv::linux
