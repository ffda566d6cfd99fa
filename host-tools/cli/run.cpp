// `paravane run`: starts a guest and attaches its console.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "base/terminal.hpp"
#include "cli/clone_guest.hpp"
#include "cli/command_view.hpp"
#include "cli/console_view.hpp"
#include "cli/guest_run.hpp"
#include "cli/interrupt.hpp"
#include "cli/recipe_guest.hpp"
#include "cli/subcommand.hpp"

namespace pv::cli {
namespace {

struct Options {
    GuestOptions guest;
    std::string keep;
    bool raw = false;
    bool quiet = false;
    bool boot = false;
};

constexpr std::array examples = {
    Example{"paravane run shell", "a shell on paravane's kernel, from Debian's own packages"},
    Example{"paravane run sql -- sqlite3 /tmp/x.db", "one program, with its exit status"},
    Example{"echo 'select 6*7;' | paravane run sql",
            "input from a pipe, and nothing but the program's output"},
    Example{"paravane run shell --kernel vmlinuz", "the same on a Linux kernel"},
    Example{"paravane run", "paravane's own kernel with its workload, and two empty disks of 64 MiB"},
    Example{"paravane run --kernel vmlinuz --initrd initrd --append 'console=ttyS0' --raw",
            "a Linux kernel with a shell on its serial console"},
    Example{"paravane run --append 'exercise=threads:4' --disk nvme:disk.img --timeout 60s",
            "a disk image of one's own, and no more than a minute"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass,
                  "the guest powered off (with status 0, if it says one), or you left with Ctrl-]"},
    StatusMeaning{ExitStatus::fail, "the guest powered off with another status"},
    StatusMeaning{ExitStatus::pass,
                  "with a RECIPE: the command's own status, 128 + signal, 126 or 127 as in a shell"},
    StatusMeaning{ExitStatus::usage, "wrong arguments, or an input that cannot be used"},
    StatusMeaning{ExitStatus::incomplete, "the guest reset, crashed, or ran out of time"},
    StatusMeaning{ExitStatus::unavailable, "this machine cannot do it; the hint says what to install"},
    StatusMeaning{ExitStatus::interrupted, "interrupted (128 + signal)"},
};

// The user's terminal, each key passed on at once while the guest runs.
class RawTerminal {
  public:
    /// `whole`: the guest's programs draw on it themselves.
    explicit RawTerminal(bool whole) {
        if (::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
            termios raw = before_;
            // Ctrl-C goes to the guest; Ctrl-] is ours. Output keeps its line-feed translation.
            raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
            raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL | INLCR | IXON);
            if (whole) {
                ::cfmakeraw(&raw);
            }
            active_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
        }
    }

    ~RawTerminal() {
        if (active_) {
            ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
        }
    }

    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    [[nodiscard]] bool active() const { return active_; }

  private:
    termios before_{};
    bool active_ = false;
};

Result<ExitStatus> judge(const RunReport& report, const Options& options) {
    if (report.interrupted) {
        return std::unexpected(interrupted());
    }
    if (report.timed_out) {
        return fail(ExitStatus::incomplete, fmt::format("the guest {}", report.outcome()),
                    fmt::format("it was ended after --timeout {}", options.guest.timeout));
    }
    if (report.left || report.succeeded()) {
        return ExitStatus::pass;
    }
    if (!options.guest.recipe.empty() && report.said_status()) {
        return static_cast<ExitStatus>(*report.said_status() & 0xff);
    }
    if (report.ending == domain::Ending::powered_off) {
        return ExitStatus::fail;
    }
    return fail(
        ExitStatus::incomplete, fmt::format("the guest did not finish: {}", report.outcome()),
        report.facts.no_space ? "the host's disk is full" : "--keep DIR keeps its console and QEMU's log");
}

Result<ExitStatus> run(const Options& options) {
    catch_interrupts();
    const Guest guest = PV_TRY(understand(options.guest, start_at_terminal(), options.quiet));
    if (!guest.profile.empty()) {
        return fail(ExitStatus::usage, "--profile says what a trace means, and `run` makes none",
                    "leave it out, or take `paravane check`");
    }
    const std::unique_ptr<GuestRun> run = PV_TRY(GuestRun::prepare(guest));
    ConsoleView view(options.raw || guest.is_recipe || !is_terminal(STDOUT_FILENO));
    const bool only_command = guest.is_recipe && !options.boot;
    CommandView command([&view, only_command](std::string_view bytes) {
        if (only_command) {
            view.show(bytes);
        }
    });
    RunReport report;
    {
        if (::isatty(STDIN_FILENO) == 1 && !options.quiet) {
            fmt::print(stderr, "paravane: starting the guest; Ctrl-] leaves it\n");
        }
        const RawTerminal terminal(guest.is_recipe && ::isatty(STDOUT_FILENO) == 1);
        PV_TRY(run->start(
            [&](std::string_view bytes) {
                command.show(bytes);
                if (!only_command) {
                    view.show(bytes);
                }
            },
            {}));
        WaitOptions wait;
        wait.limit = guest.limit;
        if (guest.clone) {
            wait.power_off = clone_power_off;
        }
        wait.input = STDIN_FILENO;
        if (guest.is_recipe) {
            wait.ready = [&command] { return command.started(); };
            wait.end_of_input = images::end_of_input;
        }
        report = run->wait(wait);
        command.finish();
        view.finish();
    }
    if (!options.keep.empty()) {
        PV_TRY(run->keep(options.keep));
    }
    if (guest.is_recipe && !options.quiet) {
        for (const std::string& note : notes_in(report.console_tail)) {
            fmt::print(stderr, "paravane: note: {}\n", note);
        }
    }
    return judge(report, options);
}

Action define(CLI::App& app) {
    auto options = std::make_shared<Options>();
    add_guest_options(app, options->guest);
    app.add_option("--keep", options->keep, "Keep console, domain XML and logs in this folder")
        ->type_name("DIR");
    app.add_flag("--raw", options->raw,
                 "Give the terminal what the guest prints unchanged, escape sequences too");
    app.add_flag("--boot", options->boot, "Of a recipe, show what kernel and /init print as well");
    app.add_flag("-q,--quiet", options->quiet, "Print nothing but the guest's console");
    return [options] { return run(*options); };
}

}  // namespace

const Subcommand& run_subcommand() {
    static const Subcommand subcommand{
        .name = "run",
        .summary = "Start a guest and attach its console",
        .description =
            "Boots the guest in a libvirt domain of its own, unwatched, with its first serial port on "
            "standard "
            "input and output. The run ends with the guest, with Ctrl-] on a terminal, or after --timeout. "
            "Nothing "
            "stays behind.\n\n"
            "With a RECIPE, the guest is an image of Debian's packages (paravane image, docs/images.md), "
            "built "
            "when it is not there yet, and one command runs in it: its output is all that is printed, its "
            "exit "
            "status is the run's. Where standard input is a pipe, the command reads a pipe.\n\n"
            "On a terminal, what the guest prints is made harmless first: control characters and escape "
            "sequences "
            "are shown, not obeyed, unless --raw is given. A recipe's programs have the terminal to "
            "themselves.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
