// Programs of others that answer soon.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pv::domain {

struct ProgramOutput {
    int status = -1;   ///< exit status; -1: it could not be started, or a signal ended it
    std::string text;  ///< stdout and stderr, at most 64 KiB; or why it could not be started
};

/// Runs a program to its end, without a shell, for at most ten seconds: then it is killed. `input` is less
/// than a pipe holds.
ProgramOutput run_program(const std::vector<std::string>& words, std::string_view input = {});

}  // namespace pv::domain
