// `paravane analyze`: judges an existing trace again, with other rules or a newer version of them.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "checks/judge.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/subcommand.hpp"
#include "cli/suppressing.hpp"
#include "report/json.hpp"
#include "report/terminal.hpp"
#include "store/trace.hpp"

namespace pv::cli {
namespace {

struct Options {
    std::string trace;
    std::vector<std::string> rules;
    std::string suppress;
    bool json = false;
    bool quiet = false;
};

constexpr std::array examples = {
    Example{"paravane analyze trace.db", "judge a recorded trace by every rule"},
    Example{"paravane analyze trace.db --rules no-markers",
            "only by the rules that need nothing from the guest"},
    Example{"paravane analyze trace.db --rules 'dma-*,-dma-leak'", "by the rules about DMA, but for one"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "every selected rule was observed and none broken"},
    StatusMeaning{ExitStatus::fail, "at least one finding"},
    StatusMeaning{ExitStatus::usage, "wrong arguments, an unknown rule, or a file that is no trace"},
    StatusMeaning{ExitStatus::incomplete,
                  "evidence is missing, events were lost, or the guest did not finish"},
};

Result<ExitStatus> analyze(const Options& options) {
    catch_interrupts();
    const std::optional<checks::SuppressionFile> known = PV_TRY(known_findings(options.suppress));
    store::Trace trace = PV_TRY(store::Trace::open(options.trace, store::Trace::Mode::judge));
    checks::Options judging;
    judging.rules = options.rules;
    judging.known = known ? &*known : nullptr;
    store::Verdict verdict;
    {
        Progress progress(!options.quiet);
        auto judged = checks::judge(trace, judging, [&](std::int64_t seen, std::int64_t all) {
            progress.show(fmt::format("judging: {} of {} events", seen, all));
            return interrupt_count() == 0;
        });
        if (!judged.has_value() && interrupt_count() != 0) {
            return std::unexpected(interrupted());
        }
        verdict = PV_TRY(std::move(judged));
    }
    if (options.json) {
        fmt::print("{}", PV_TRY(report::json(trace, options.trace)));
    } else {
        fmt::print("{}", PV_TRY(report::terminal(trace, {.color = report::wants_color(STDOUT_FILENO),
                                                         .width = report::terminal_width(STDOUT_FILENO),
                                                         .verdict_only = options.quiet,
                                                         .trace_path = options.trace})));
    }
    say_what_suppressed_nothing(trace);
    return static_cast<ExitStatus>(verdict.exit_status);
}

Action define(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("TRACE", options->trace, "The trace, as `paravane check` or `paravane record` wrote it")
        ->required();
    app.add_option(
           "--rules", options->rules,
           "Rules to judge by: names, patterns with *, all, no-markers; -NAME takes one away; divided by "
           "commas")
        ->type_name("LIST");
    add_suppress_option(app, options->suppress);
    app.add_flag("--json", options->json, "Print one JSON object (docs/json.md)");
    app.add_flag("--quiet", options->quiet, "Print the verdict only");
    return [options] { return analyze(*options); };
}

}  // namespace

const Subcommand& analyze_subcommand() {
    static const Subcommand subcommand{
        .name = "analyze",
        .summary = "Judge an existing trace again",
        .description =
            "Judges a trace that `paravane record` or `paravane check` wrote, and replaces the results in "
            "it. The "
            "output and the exit statuses are those of `paravane check`. docs/rules/ has a page on each "
            "rule.\n\n"
            "A trace that was interrupted while it was judged keeps the results it had.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
