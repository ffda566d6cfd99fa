// Memory that is writable and executable at once: who asks for it, and whether the machine allows it.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "base/errno.hpp"
#include "memory/regions.hpp"

namespace pv::linux {

/// Reads `writable-code=allow` from the command line. Once, before the first program.
void start_writable_code();

/// Error: eacces, where the rights are not allowed (memory::are_allowed): the console names `program` and
/// `process`, once a process.
[[nodiscard]] Outcome<> check_rights(memory::Rights rights, std::string_view program, int process);

/// Whoever was refused is named once more, for people who were not shown the console meanwhile
/// (PV_IMAGE_NOTE). After the last program.
void tell_who_was_refused();

}  // namespace pv::linux
