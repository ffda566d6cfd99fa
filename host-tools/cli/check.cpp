// `paravane check`: runs a guest watched and says whether isolation and timeouts hold. The main job.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/terminal.hpp"
#include "checks/judge.hpp"
#include "checks/select.hpp"
#include "cli/expectation.hpp"
#include "cli/interrupt.hpp"
#include "cli/recording.hpp"
#include "cli/subcommand.hpp"
#include "cli/suppressing.hpp"
#include "report/json.hpp"
#include "report/terminal.hpp"
#include "store/trace.hpp"

namespace pv::cli {
namespace {

struct Options {
    RecordOptions record;
    std::vector<std::string> rules;
    std::string suppress;
    bool json = false;
};

constexpr std::array examples = {
    Example{"paravane check", "check paravane's own kernel, with one NVMe and one virtio-blk disk"},
    Example{"paravane check --kernel vmlinuz --initrd initrd --append 'console=ttyS0' --disk nvme:64M",
            "check an unmodified Linux: what needs the guest's markers is `not observed`"},
    Example{"paravane check shell",
            "a session of Debian's programs on paravane's kernel, its disks at work beside them"},
    Example{"paravane check --domain web --timeout 5m",
            "check a copy of a libvirt domain that is shut off; the domain itself is only read"},
    Example{"paravane check --fault 'stall disk0 read after 100 for 8s'",
            "hold the reads of a disk and see whether the guest's deadlines do"},
    Example{"paravane check --fault-plan reset.toml", "faults in a file, and what must hold afterwards"},
    Example{"paravane check --suppress known.toml", "leave out of the verdict what is known, and say so"},
    Example{"paravane check --rules 'dma-*' --json", "some rules only; the result as one JSON object"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "pass: every selected rule was observed, and none was broken"},
    StatusMeaning{ExitStatus::fail, "fail: at least one finding"},
    StatusMeaning{ExitStatus::pass,
                  "with a --fault-plan that has [expect]: all that it expects holds (else 1)"},
    StatusMeaning{ExitStatus::usage, "wrong arguments, or an input that cannot be used"},
    StatusMeaning{ExitStatus::incomplete,
                  "incomplete: a rule had no evidence, events were lost, or the guest did not finish"},
    StatusMeaning{ExitStatus::unavailable, "this machine cannot do it; the hint says what to install"},
    StatusMeaning{ExitStatus::interrupted, "interrupted (128 + signal); the trace is valid up to there"},
};

Error interrupted_with(const std::filesystem::path& trace) {
    Error error = interrupted();
    error.hint = fmt::format("the trace up to there: paravane analyze {}", trace.string());
    return error;
}

checks::HostFacts facts_of(const Recording& recording) {
    checks::HostFacts facts;
    const RunReport& run = recording.run;
    facts.finished = run.ending == domain::Ending::powered_off && !run.end.wedged() && !run.facts.no_space;
    facts.ending = run.facts.no_space ? "the host's disk became full" : run.outcome();
    facts.lost = recording.statistics.lost;
    facts.not_understood = recording.statistics.not_understood;
    return facts;
}

std::string with_plan(const std::string& result, const std::vector<Expected>& expected) {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(result);
    auto& list = json["plan"] = nlohmann::ordered_json::array();
    for (const Expected& one : expected) {
        list.push_back({{"expected", one.what}, {"held", one.held}, {"found", one.found}});
    }
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void print_plan(const std::vector<Expected>& expected) {
    std::size_t held = 0;
    for (const Expected& one : expected) {
        held += one.held ? 1 : 0;
        if (!one.held) {
            fmt::print("plan       expected: {}\n           found: {}\n", escape_for_terminal(one.what),
                       escape_for_terminal(one.found));
        }
    }
    fmt::print("plan       {} of {} expectations hold\n", held, expected.size());
}

Result<ExitStatus> check(const Options& options) {
    PV_TRY(checks::select_rules(options.rules));
    const std::optional<checks::SuppressionFile> known = PV_TRY(known_findings(options.suppress));
    Progress progress(!options.record.quiet);
    const Recording recording = PV_TRY(record(options.record, "check", progress));
    if (recording.run.interrupted) {
        return std::unexpected(interrupted_with(recording.trace));
    }
    store::Trace trace = PV_TRY(store::Trace::open(recording.trace, store::Trace::Mode::judge));
    checks::Options judging;
    judging.rules = options.rules;
    judging.facts = facts_of(recording);
    judging.known = known ? &*known : nullptr;
    const Result<store::Verdict> verdict =
        checks::judge(trace, judging, [&progress](std::int64_t seen, std::int64_t all) {
            progress.show(fmt::format("judging: {} of {} events", seen, all));
            return interrupt_count() == 0;
        });
    progress.clear();
    if (!verdict.has_value()) {
        return std::unexpected(interrupt_count() > 0 ? interrupted_with(recording.trace) : verdict.error());
    }
    const std::string path = recording.trace.string();
    std::vector<Expected> expected;
    if (!recording.expect.empty()) {
        store::Trace judged = PV_TRY(store::Trace::open(recording.trace));
        expected = PV_TRY(compare(recording.expect, recording.run, *verdict, judged));
    }
    if (options.json) {
        const std::string result = PV_TRY(report::json(trace, path));
        fmt::print("{}", expected.empty() ? result : with_plan(result, expected));
    } else {
        fmt::print("{}", PV_TRY(report::terminal(trace, {.color = report::wants_color(STDOUT_FILENO),
                                                         .width = report::terminal_width(STDOUT_FILENO),
                                                         .verdict_only = options.record.quiet,
                                                         .trace_path = path})));
        if (!expected.empty()) {
            print_plan(expected);
        }
    }
    say_what_suppressed_nothing(trace);
    if (const std::string problem = complaint(recording); !problem.empty()) {
        fmt::print(stderr, "paravane: warning: {}\n", escape_for_terminal(problem));
    }
    if (expected.empty()) {
        for (const std::string& problem : recording.run.plan_problems) {
            fmt::print(stderr, "paravane: warning: {}\n", escape_for_terminal(problem));
        }
        return static_cast<ExitStatus>(verdict->exit_status);
    }
    // A plan that says what it expects is a test of its own: a verdict it expects is no failure.
    return std::ranges::all_of(expected, &Expected::held) ? ExitStatus::pass : ExitStatus::fail;
}

Action define(CLI::App& app) {
    auto options = std::make_shared<Options>();
    add_record_options(app, options->record);
    app.add_option(
           "--rules", options->rules,
           "Rules to judge: names, groups (all, no-markers), patterns (dma-*), exclusions (-dma-leak); "
           "divided by commas (default: all)")
        ->type_name("LIST")
        ->take_all()
        ->allow_extra_args(false);
    add_suppress_option(app, options->suppress);
    app.add_flag("--json", options->json, "Print one JSON object (docs/json.md) instead of the report");
    return [options] { return check(*options); };
}

}  // namespace

const Subcommand& check_subcommand() {
    static const Subcommand subcommand{
        .name = "check",
        .summary = "Run a guest watched, and say whether isolation and timeouts hold",
        .description =
            "Boots the guest in a libvirt domain, records what QEMU and paravane's plugin see into a trace, "
            "judges "
            "it, and prints the verdict, each rule's outcome, and the findings with their evidence. The "
            "trace stays: "
            "`paravane report`, `query` and `analyze` read it.\n\n"
            "The guest is ended after --timeout (two minutes when none is given); a guest that had to be "
            "ended did "
            "not finish, and the verdict is incomplete unless a rule was broken.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
