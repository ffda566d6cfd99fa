// `paravane record`: runs a guest watched and writes the trace, without judging it.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "base/terminal.hpp"
#include "cli/interrupt.hpp"
#include "cli/recording.hpp"
#include "cli/subcommand.hpp"

namespace pv::cli {
namespace {

constexpr std::array examples = {
    Example{"paravane record", "record paravane's own kernel and its workload into trace.db"},
    Example{"paravane record --kernel vmlinuz --initrd initrd --append 'console=ttyS0' --disk nvme:64M -o "
            "linux.db",
            "record a Linux guest; then: paravane analyze linux.db, paravane query linux.db --views"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "recorded whole; the guest powered off"},
    StatusMeaning{ExitStatus::usage, "wrong arguments, or an input that cannot be used"},
    StatusMeaning{ExitStatus::incomplete,
                  "the guest did not finish, or lines were lost; the trace is valid up to there"},
    StatusMeaning{ExitStatus::unavailable, "this machine cannot do it; the hint says what to install"},
    StatusMeaning{ExitStatus::interrupted, "interrupted (128 + signal); the trace is valid up to there"},
};

Result<ExitStatus> run_record(const RecordOptions& options) {
    Progress progress(!options.quiet);
    const Recording recording = PV_TRY(record(options, "record", progress));
    if (recording.run.interrupted) {
        Error error = interrupted();
        error.hint = fmt::format("the trace up to there: paravane analyze {}", recording.trace.string());
        return std::unexpected(std::move(error));
    }
    if (!options.quiet) {
        fmt::print("{}: {} events, guest {}\n", escape_for_terminal(recording.trace.string()),
                   recording.statistics.events, recording.run.outcome());
    }
    if (const std::string problem = complaint(recording); !problem.empty()) {
        return fail(ExitStatus::incomplete, problem, "the trace is valid without them");
    }
    if (recording.run.ending != domain::Ending::powered_off) {
        return fail(ExitStatus::incomplete,
                    fmt::format("the guest did not finish: {}", recording.run.outcome()),
                    "--timeout gives it longer; --keep DIR keeps its console");
    }
    return ExitStatus::pass;
}

Action define(CLI::App& app) {
    auto options = std::make_shared<RecordOptions>();
    add_record_options(app, *options);
    return [options] { return run_record(*options); };
}

}  // namespace

const Subcommand& record_subcommand() {
    static const Subcommand subcommand{
        .name = "record",
        .summary = "Run a guest watched, and keep its trace",
        .description =
            "Boots the guest in a libvirt domain and writes what QEMU and paravane's plugin see (registers, "
            "DMA, "
            "commands, markers) into a trace, an SQLite file. The guest is ended after --timeout (two "
            "minutes "
            "when none is given). `paravane analyze` judges the trace.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
