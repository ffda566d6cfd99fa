// Guest, capture and store together.
// SPDX-License-Identifier: MIT
#include "cli/recording.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <fstream>

#include "base/size.hpp"
#include "base/terminal.hpp"
#include "capture/line.hpp"
#include "capture/session.hpp"
#include "capture/trace_events.hpp"
#include "cli/clone_guest.hpp"
#include "cli/interrupt.hpp"
#include "cli/plan_run.hpp"
#include "cli/recipe_guest.hpp"
#include "domain/installation.hpp"
#include "domain/kernel_file.hpp"
#include "domain/symbols.hpp"
#include "profiles/kallsyms.hpp"
#include "profiles/linux_image.hpp"
#include "profiles/profile.hpp"
#include "profiles/resolve.hpp"
#include "store/writer.hpp"

namespace pv::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds default_limit = 120s;
// QEMU is gone by then, so the FIFO ends by itself; what lies in it is at most a pipe's worth.
constexpr std::chrono::milliseconds drain_limit = 60s;
constexpr std::chrono::milliseconds place_limit = 2s;  ///< for a line to get its place in the trace

Result<> describe(store::Writer& writer, const Guest& guest, const domain::GuestSpec& spec,
                  const std::string& reproduced) {
    const std::time_t now = std::time(nullptr);
    const std::pair<const char*, std::string> facts[] = {
        {"guest", guest.clone ? guest.clone->original : spec.kernel.filename().string()},
        {"kernel", spec.kernel.empty() ? "" : fs::absolute(spec.kernel).string()},
        {"initrd", spec.initrd.empty() ? "" : fs::absolute(spec.initrd).string()},
        {"command_line", spec.command_line},
        {"cpus", fmt::format("{}", spec.cpus)},
        {"memory", fmt::format("{}", spec.memory)},
        {"accelerator", spec.accelerator == domain::Accelerator::kvm ? "kvm" : "tcg"},
        {"started", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))},
        {"outcome", "not finished"},
        {"reproduce", reproduced}};
    for (const auto& [key, value] : facts) {
        PV_TRY(writer.set_meta(key, value));
    }
    if (guest.clone) {
        return describe_devices(writer, *guest.clone);
    }
    for (std::size_t i = 0; i < guest.spec.disks.size(); ++i) {
        const domain::Disk& disk = guest.spec.disks[i];
        const auto* size = std::get_if<std::uint64_t>(&disk.backing);
        PV_TRY(writer.add_device(
            {.bdf = domain::disk_bdf(guest.spec, i),
             .name = fmt::format("disk{}", i),
             .kind = std::string(name(disk.kind)),
             .detail = size != nullptr ? format_size(*size) : std::get<fs::path>(disk.backing).string()}));
    }
    for (std::size_t i = 0; i < guest.spec.networks.size(); ++i) {
        PV_TRY(writer.add_device({.bdf = domain::network_bdf(guest.spec, i),
                                  .name = fmt::format("net{}", i),
                                  .kind = "virtio-net",
                                  .detail = describe(guest.spec.networks[i])}));
    }
    return {};
}

/// The kernel's profile for the plugin, in `file`; the kernel's own symbols go into the trace, where no
/// others were named.
Result<> use_profile(store::Writer& writer, const Guest& guest, const fs::path& file) {
    const profiles::Profile profile =
        PV_TRY(profiles::read_profile(guest.profile, domain::library_dir() / "profiles"));
    if (guest.spec.kernel.empty()) {
        return fail(ExitStatus::usage,
                    "--profile needs the kernel's file, and this guest brings its kernel along",
                    "give the guest's kernel with --kernel");
    }
    const profiles::LinuxImage kernel = PV_TRY(profiles::LinuxImage::read(guest.spec.kernel));
    PV_TRY(profiles::fits(profile, kernel));
    const std::vector<profiles::KernelSymbol> symbols = PV_TRY(profiles::kallsyms(kernel.section(".rodata")));
    std::ofstream stream(file);
    stream << PV_TRY(profiles::resolve(profile, kernel, symbols));
    stream.close();
    if (!stream) {
        return fail(ExitStatus::unavailable, fmt::format("'{}' cannot be written", file.string()),
                    "is the disk full? TMPDIR chooses another folder");
    }
    if (guest.symbols != guest.spec.kernel) {
        return {};
    }
    for (std::size_t i = 0; i < symbols.size(); ++i) {
        const profiles::KernelSymbol& symbol = symbols[i];
        if (symbol.type != 't' && symbol.type != 'T') {
            continue;
        }
        const std::uint64_t next = i + 1 < symbols.size() ? symbols[i + 1].address : symbol.address;
        PV_TRY(writer.add_symbol(
            {symbol.address, next > symbol.address ? next - symbol.address : 0, symbol.name}));
    }
    return {};
}

Result<> add_symbols(store::Writer& writer, const Guest& guest) {
    if (guest.symbols.empty()) {
        return {};  // a copy of a domain boots what is on its disk
    }
    if (guest.symbols == guest.spec.kernel &&
        PV_TRY(domain::inspect_kernel(guest.symbols)) == domain::KernelFormat::bz_image) {
        return {};  // compressed: System.map or vmlinux have to be named
    }
    const auto count = domain::read_symbols(guest.symbols, [&](const domain::KernelSymbol& symbol) {
        return writer.add_symbol({symbol.address, symbol.size, std::string(symbol.name)});
    });
    return count ? Result<>{} : std::unexpected(count.error());
}

Result<> watch(GuestRun& run, const std::vector<std::string>& probes) {
    domain::Wiring& wiring = run.wiring();
    wiring.log = run.folder() / "trace";
    wiring.log_items = capture::qemu_log_items;
    wiring.trace_events = run.folder() / "events";
    std::ofstream events(wiring.trace_events);
    for (const std::string& pattern : capture::qemu_trace_patterns()) {
        events << pattern << '\n';
    }
    events.close();
    if (!events) {
        return fail(ExitStatus::unavailable,
                    fmt::format("'{}' cannot be written", wiring.trace_events.string()),
                    "is the disk full? TMPDIR chooses another folder");
    }
    // Under KVM no instruction is translated, and QEMU refuses the plugin.
    if (run.spec().accelerator == domain::Accelerator::tcg) {
        wiring.plugin = PV_TRY(domain::installed(domain::qemu_plugin_file));
        wiring.plugin_options = {"probe=markers", "control=on", "rings=on"};
        for (const std::string& probe : probes) {
            wiring.plugin_options.push_back(probe + "=on");
        }
    } else if (!probes.empty()) {
        return fail(ExitStatus::usage, fmt::format("--probe {} needs the accelerator tcg", probes.front()),
                    "under KVM no plugin runs: leave --accel or --probe out");
    }
    return {};
}

// The word that judging takes for a guest that did what it was started for.
std::string meta_outcome(const RunReport& run) {
    return run.ending == domain::Ending::powered_off && !run.end.wedged() ? "finished" : run.outcome();
}

Result<> conclude(store::Writer& writer, const RunReport& run) {
    PV_TRY(writer.set_meta("outcome", meta_outcome(run)));
    PV_TRY(writer.set_meta("ending", run.outcome()));
    PV_TRY(writer.set_meta("end", std::string(run.how())));
    if (const std::optional<int> status = run.said_status()) {
        PV_TRY(writer.set_meta("guest_status", fmt::format("{}", *status)));
    }
    if (run.end.wedged()) {
        PV_TRY(writer.set_meta("wedged", std::string(name(run.end.rung))));
    }
    PV_TRY(writer.set_meta("duration_us", fmt::format("{}", run.duration.count() * 1000)));
    PV_TRY(writer.set_meta("qemu", run.qemu_version));
    PV_TRY(writer.set_meta("libvirt", domain::libvirt_version()));
    PV_TRY(writer.set_meta("console", run.console_tail));
    return writer.finish();
}

}  // namespace

void add_record_options(CLI::App& app, RecordOptions& options) {
    add_guest_options(app, options.guest);
    app.add_option("-o,--output", options.output, "The trace; an older trace of this name is replaced")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_option("--keep", options.keep, "Keep console, domain XML and logs in this folder")
        ->type_name("DIR");
    app.add_option("--probe", options.probes,
                   "Watch more than every run does, at a cost: tlb (docs/translation.md), ownership "
                   "(docs/ownership.md)")
        ->type_name("NAME")
        ->delimiter(',')
        ->check(CLI::IsMember({"tlb", "ownership"}));
    app.add_flag("-q,--quiet", options.quiet, "No progress; of a verdict, its line only");
}

Result<Recording> record(const RecordOptions& options, std::string_view subcommand, Progress& progress) {
    catch_interrupts();
    const Guest guest = PV_TRY(understand(options.guest, start_unattended(), options.quiet));
    const std::unique_ptr<GuestRun> run = PV_TRY(GuestRun::prepare(guest));
    store::Writer writer = PV_TRY(store::Writer::create(options.output, store::Overwrite::yes));
    std::string reproduced = reproduce(subcommand, options.guest);
    for (const std::string& probe : options.probes) {
        reproduced += " --probe " + probe;
    }
    PV_TRY(describe(writer, guest, run->spec(), reproduced));
    PV_TRY(add_symbols(writer, guest));
    PV_TRY(watch(*run, options.probes));
    if (!guest.profile.empty()) {
        const fs::path file = run->folder() / "profile";
        PV_TRY(use_profile(writer, guest, file));
        run->wiring().plugin_options.push_back("profile=" + file.string());
    }
    Recording recording;
    recording.trace = options.output;
    recording.expect = guest.plan.expect;
    // The session feeds the plan, and the plan writes to the session: the plan's thread starts last.
    capture::Session* log = nullptr;
    PlanRun plan(
        run->later_steps(), [&run = *run](const faults::Step& step) { return run.perform(step); },
        [&log](const std::string& step) {
            log->inject("paravane_lifecycle", fmt::format("state 'step' detail {}", capture::quote(step)));
            // What the step does to the guest stands behind it: rules excuse by that order. A reader that
            // takes longer is no reason not to do the step.
            static_cast<void>(log->settle(place_limit));
        });
    const auto on_event = [&plan](trace::Kind kind) { plan.saw(kind); };
    const std::unique_ptr<capture::Session> session = PV_TRY(capture::Session::start_fifo(
        run->wiring().log, writer, {},
        run->later_steps().empty() ? capture::Session::OnEvent{} : capture::Session::OnEvent{on_event}));
    log = session.get();
    // The session ends before the run does, and a fault's last events may come while the run ends.
    const auto on_fault = [&session = *session](const faults::FaultEvent& event, unsigned disk) {
        const std::string line = faults::trace_line(event, disk);
        if (const std::size_t space = line.find(' '); space != std::string::npos) {
            session.inject(line.substr(0, space), line.substr(space + 1));
        }
    };
    session->inject("paravane_lifecycle", "state 'starting' detail ''");
    if (Result<> started = run->start({}, on_fault); !started) {
        run->stop();
        return std::unexpected(std::move(started).error());
    }
    WaitOptions wait;
    wait.limit = guest.limit.value_or(default_limit);
    if (guest.clone) {
        wait.power_off = clone_power_off;
    }
    wait.failed = [&session] { return session->failed(); };
    wait.tick = [&](std::chrono::milliseconds elapsed) {
        progress.show(fmt::format("{} s, {} events", elapsed.count() / 1000, session->progress().events));
    };
    wait.ending = [&] {
        plan.stop();
        session->inject("paravane_lifecycle", "state 'ending' detail ''");
        static_cast<void>(session->settle(place_limit));
    };
    plan.begin();
    recording.run = run->wait(wait);
    plan.stop();
    recording.run.plan_problems = plan.problems();
    session->inject("paravane_lifecycle",
                    fmt::format("state 'ended' detail {}", capture::quote(recording.run.outcome())));
    progress.show("storing the trace");
    run->stop_servers();
    recording.statistics = PV_TRY(session->join(drain_limit));
    PV_TRY(conclude(writer, recording.run));
    if (!options.keep.empty()) {
        PV_TRY(run->keep(options.keep));
    }
    progress.clear();
    return recording;
}

std::string complaint(const Recording& recording) {
    if (recording.run.facts.no_space) {
        return "the host's disk became full: disks of the guest could not be written";
    }
    if (!recording.statistics.is_complete()) {
        const std::string sample = recording.statistics.samples.empty()
                                       ? std::string()
                                       : ", first: " + recording.statistics.samples.front();
        return fmt::format("{} lines of the log were lost, {} not understood{}", recording.statistics.lost,
                           recording.statistics.not_understood, sample);
    }
    return {};
}

}  // namespace pv::cli
