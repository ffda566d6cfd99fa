// Prints bash's completion for `paravane`: a tool of the build, not installed.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "cli/completion.hpp"

int main() {
    fmt::print("{}", pv::cli::bash_completion());
    return 0;
}
