// The command `paravane`: parses, dispatches to one subcommand, prints errors, returns the exit status.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>

#include "base/terminal.hpp"
#include "cli/help.hpp"
#include "cli/interrupt.hpp"

namespace {

using pv::ExitStatus;

int print_error(const pv::Error& error) {
    // Messages quote paths and guests' words.
    fmt::print(stderr, "paravane: error: {}\n",
               pv::escape_for_terminal(error.message, {.keep_newlines = true}));
    if (!error.hint.empty()) {
        fmt::print(stderr, "hint: {}\n", pv::escape_for_terminal(error.hint, {.keep_newlines = true}));
    }
    return static_cast<int>(error.status);
}

std::string help_command(const CLI::App& root) {
    std::string command = "paravane";
    const CLI::App* app = &root;
    while (!app->get_subcommands().empty()) {
        app = app->get_subcommands().front();
        command += " " + app->get_name();
    }
    return command + " --help";
}

int dispatch(int argc, char** argv) {
    pv::cli::CommandLine line = pv::cli::make_command_line();
    CLI::App& root = *line.root;
    try {
        root.parse(argc, argv);
    } catch (const CLI::CallForHelp& call) {
        return root.exit(call);
    } catch (const CLI::CallForAllHelp& call) {
        return root.exit(call);
    } catch (const CLI::CallForVersion& call) {
        return root.exit(call);
    } catch (const CLI::ParseError& error) {
        return print_error({ExitStatus::usage, error.what(),
                            fmt::format("`{}` lists what is accepted", help_command(root))});
    }
    for (pv::cli::Bound& bound : line.bound) {
        if (bound.app->parsed()) {
            const pv::Result<ExitStatus> status = bound.action();
            if (!status) {
                return print_error(status.error());
            }
            if (std::fflush(stdout) != 0) {
                return print_error({ExitStatus::unavailable, "standard output could not be written",
                                    "is the disk full, or the reader of the pipe gone?"});
            }
            return static_cast<int>(*status);
        }
    }
    fmt::print("{}", root.help());
    return static_cast<int>(ExitStatus::usage);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return dispatch(argc, argv);
    } catch (const std::bad_alloc&) {
        return print_error({ExitStatus::unavailable, "out of memory", "free memory, or give the guest less"});
    } catch (const std::exception& exception) {
        return print_error(
            {ExitStatus::unavailable, exception.what(), "this is a defect of paravane: please report it"});
    }
}
