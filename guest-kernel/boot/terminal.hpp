// The console as a terminal for programs: the first serial port.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "fs/terminal.hpp"

namespace pv::boot {

/// The terminal on the serial port, whose thread passes on what is typed. Once, when programs are to run and
/// nobody else reads the port. It lives for ever. Error: out_of_memory.
[[nodiscard]] Result<Ref<fs::Terminal>> start_terminal();

}  // namespace pv::boot
