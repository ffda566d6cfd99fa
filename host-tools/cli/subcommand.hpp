// A subcommand of `paravane`: what its help says, and what runs it. One file a subcommand.
// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "base/error.hpp"

namespace CLI {
class App;
}

namespace pv::cli {

struct Example {
    std::string_view command;  ///< as typed, e.g. "paravane check --disk nvme:64M"
    std::string_view meaning;  ///< one line
};

struct StatusMeaning {
    ExitStatus status;
    std::string_view meaning;
};

/// What a subcommand does once its arguments are parsed. Data goes to stdout, talk to stderr. An error is
/// printed by main as `paravane: error: ...` and `hint: ...`, and its status is the process's.
using Action = std::function<Result<ExitStatus>()>;

struct Subcommand {
    std::string_view name;         ///< "query"; "domain xml" for one below a group
    std::string_view summary;      ///< one line, no period
    std::string_view description;  ///< paragraphs divided by an empty line; lines are filled by the printer
    std::span<const Example> examples;
    std::span<const StatusMeaning> statuses;
    /// Adds options to `app` and returns what runs when they are parsed. The action owns what the options
    /// write to (a shared_ptr it captures); it is called at most once. Validation that needs more than
    /// CLI11's types belongs in the action, which can give a hint.
    Action (*define)(CLI::App& app);
};

// One function a file, in the order in which `paravane --help` lists them (registry.cpp).
const Subcommand& run_subcommand();
const Subcommand& check_subcommand();
const Subcommand& record_subcommand();
const Subcommand& analyze_subcommand();
const Subcommand& query_subcommand();
const Subcommand& report_subcommand();
const Subcommand& image_build_subcommand();
const Subcommand& image_list_subcommand();
const Subcommand& image_show_subcommand();
const Subcommand& domain_xml_subcommand();
const Subcommand& doctor_subcommand();

/// All subcommands this build has.
std::span<const Subcommand* const> subcommands();

}  // namespace pv::cli
