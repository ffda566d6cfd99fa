// `paravane report`: shows a judged trace in the terminal, as JSON, or as one HTML file.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/subcommand.hpp"
#include "domain/installation.hpp"
#include "report/html.hpp"
#include "report/json.hpp"
#include "report/terminal.hpp"
#include "store/trace.hpp"

namespace pv::cli {
namespace {

struct Options {
    std::string trace;
    std::string html;
    bool json = false;
    bool force = false;
    std::size_t findings = 20;
};

constexpr std::array examples = {
    Example{"paravane report trace.db", "print verdict, rules and findings"},
    Example{"paravane report trace.db --html report.html", "write one HTML file that opens in any browser"},
    Example{"paravane report trace.db --json | jq .verdict", "read the result with a program"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "the report was made, whatever the verdict in it says"},
    StatusMeaning{ExitStatus::usage,
                  "wrong arguments, no trace, a trace that was not judged, or a file in the way"},
    StatusMeaning{ExitStatus::unavailable, "the report's page is not installed, or the disk is full"},
};

Result<ExitStatus> report(const Options& options) {
    store::Trace trace = PV_TRY(store::Trace::open(options.trace));
    if (!options.html.empty()) {
        std::error_code ignored;
        if (std::filesystem::equivalent(options.html, options.trace, ignored)) {
            return fail(ExitStatus::usage, fmt::format("{} is the trace itself", options.html),
                        "name another file for the report");
        }
        PV_TRY(report::html(trace, options.html,
                            {.page = domain::library_dir() / "report" / "page.html",
                             .trace_path = options.trace,
                             .force = options.force}));
    }
    if (options.json) {
        fmt::print("{}", PV_TRY(report::json(trace, options.trace)));
    } else if (options.html.empty()) {
        fmt::print("{}", PV_TRY(report::terminal(trace, {.color = report::wants_color(STDOUT_FILENO),
                                                         .width = report::terminal_width(STDOUT_FILENO),
                                                         .findings = options.findings,
                                                         .trace_path = options.trace})));
    }
    return ExitStatus::pass;
}

Action define(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("TRACE", options->trace, "The trace, as `paravane check` or `paravane record` wrote it")
        ->required();
    app.add_option("--html", options->html, "Write the report to this file instead of the terminal")
        ->type_name("FILE");
    app.add_flag("--json", options->json, "Print one JSON object (docs/json.md)");
    app.add_option("--findings", options->findings, "Findings to print in full in the terminal")
        ->type_name("N")
        ->capture_default_str()
        ->check(CLI::Range(0, 1000));
    app.add_flag("--force", options->force, "Replace the file of --html even when it is not a report");
    return [options] { return report(*options); };
}

}  // namespace

const Subcommand& report_subcommand() {
    static const Subcommand subcommand{
        .name = "report",
        .summary = "Show what a trace's analysis found",
        .description =
            "Shows verdict, rules and findings of a judged trace: in the terminal, as JSON, or as an HTML "
            "file with "
            "a time line of devices and vCPUs, the findings with their evidence, and the latencies of "
            "commands.\n\n"
            "The HTML file is complete in itself: it loads nothing and can be mailed or kept with a nightly "
            "run. An "
            "existing report is replaced; another file is left alone unless --force is given.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
