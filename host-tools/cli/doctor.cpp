// `paravane doctor`: what this machine can do, and what to install.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "cli/subcommand.hpp"

namespace pv::cli {
namespace {

struct Options {
    bool json = false;
};

constexpr std::array examples = {
    Example{"paravane doctor", "see whether a check can run here, and what is missing"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "`paravane check` can run here"},
    StatusMeaning{ExitStatus::unavailable, "something it needs is missing; the table says what to install"},
};

Result<ExitStatus> doctor(const Options&) {
    return ExitStatus::pass;
}

Action define(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_flag("--json", options->json, "Print one JSON object instead of the table");
    return [options] { return doctor(*options); };
}

}  // namespace

const Subcommand& doctor_subcommand() {
    static const Subcommand subcommand{
        .name = "doctor",
        .summary = "Say what this machine can do, and what to install",
        .description = "Tries each thing a check needs by using it.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
