// What a shell completes, from the same descriptions as help and manual pages.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace pv::cli {

/// A script for bash 4.4 or newer, to be sourced: the function _paravane, and that it completes `paravane`.
/// It runs nothing of paravane's and needs no package of completions.
std::string bash_completion();

}  // namespace pv::cli
