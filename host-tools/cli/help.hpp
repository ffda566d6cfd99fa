// The command line as CLI11 sees it, and the help and manual pages made from the same descriptions.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/subcommand.hpp"

namespace CLI {
class App;
}

namespace pv::cli {

struct Bound {
    const Subcommand* subcommand = nullptr;
    CLI::App* app = nullptr;  ///< owned by the command line's root
    Action action;
};

struct CommandLine {
    std::unique_ptr<CLI::App> root;
    std::vector<Bound> bound;  ///< one a subcommand, in the registry's order
    CommandLine();
    ~CommandLine();
    CommandLine(CommandLine&&) noexcept;
    CommandLine& operator=(CommandLine&&) noexcept;
};

/// Builds the command line of every registered subcommand. Nothing is run.
CommandLine make_command_line();

}  // namespace pv::cli
