// Runs a guest.
// SPDX-License-Identifier: MIT
#include "cli/guest_run.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/size.hpp"
#include "cli/clone_guest.hpp"
#include "cli/interrupt.hpp"
#include "cli/typing.hpp"
#include "domain/installation.hpp"
#include "domain/probe.hpp"

namespace pv::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t reserved_up_to = std::uint64_t{1} << 30;

std::chrono::milliseconds since(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
}

Result<> make_image(const fs::path& path, std::uint64_t size, const std::string& disk, std::uint64_t free) {
    const Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("{}: an image of {} cannot be made in {}: {}", disk, format_size(size),
                                path.parent_path().string(), std::strerror(errno)),
                    "give the disk less, or set TMPDIR to a folder that takes it");
    }
    // Space is taken now where it is little enough to be certain that all of it may be used: a disk that
    // fails in the middle because the host is full looks like a broken guest.
    if (size <= reserved_up_to) {
        const int problem = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size));
        if (problem == ENOSPC || problem == EDQUOT || problem == EFBIG) {
            return fail(ExitStatus::unavailable,
                        fmt::format("{}: no space for {} in {} ({} are free)", disk, format_size(size),
                                    path.parent_path().string(), format_size(free >> 20U << 20U)),
                        "free some space, or set TMPDIR to a folder that has it");
        }
    }
    return {};
}

// A kernel may have its own word after the programs': Linux says that it powers down.
constexpr int last_lines = 4;

std::optional<int> status_in(std::string_view console) {
    static constexpr std::string_view words = "paravane: powering off, status ";
    for (int lines = 0; lines < last_lines && !console.empty();) {
        const std::size_t end = console.find_last_of('\n');
        const std::string_view line = console.substr(end == std::string_view::npos ? 0 : end + 1);
        console = console.substr(0, end == std::string_view::npos ? 0 : end);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
            continue;
        }
        ++lines;
        if (const std::size_t place = line.find(words); place != std::string_view::npos) {
            const char* begin = line.data() + place + words.size();
            int status = 0;
            const auto [rest, problem] = std::from_chars(begin, line.data() + line.size(), status);
            return problem == std::errc() && rest != begin ? std::optional(status) : std::nullopt;
        }
    }
    return std::nullopt;
}

bool is_from_the_start(const faults::Step& step) {
    return step.action == faults::Step::Action::arm && step.moment == faults::Moment{};
}

}  // namespace

std::string_view RunReport::how() const {
    return interrupted ? "interrupted"
           : timed_out ? "ran out of time"
           : given_up  ? "given up"
           : left      ? "left by the user"
                       : name(ending);
}

std::optional<int> RunReport::said_status() const {
    return how() == name(domain::Ending::powered_off) ? guest_status : std::nullopt;
}

std::string RunReport::outcome() const {
    std::string words(how());
    if (const std::optional<int> status = said_status()) {
        words += fmt::format(", status {}", *status);
    }
    if (end.wedged()) {
        words += fmt::format(", wedged in drain: {} was needed", name(end.rung));
    }
    return words;
}

bool RunReport::succeeded() const {
    return ending == domain::Ending::powered_off && guest_status.value_or(0) == 0;
}

Result<std::unique_ptr<GuestRun>> GuestRun::prepare(const Guest& guest) {
    std::unique_ptr<GuestRun> run(new GuestRun());
    run->scratch_ = PV_TRY(domain::Scratch::create());
    run->spec_ = guest.spec;
    run->spec_.name = "paravane-" + run->scratch_->id();
    run->faults_ = guest.faults;
    run->plan_ = guest.plan;
    run->connect_ = guest.connect;
    if (guest.clone) {
        run->clone_ = guest.clone;
        run->clone_files_ = PV_TRY(make_clone_files(*guest.clone, run->folder()));
        run->clone_files_.name = run->spec_.name;
    }
    run->wiring_.emulator = PV_TRY(domain::find_qemu());
    run->wiring_.console = run->folder() / "console";
    run->wiring_.monitor = run->folder() / "qmp";
    PV_TRY(run->make_images(guest));
    if (guest.is_recipe) {
        run->spec_.initrd = run->folder() / "initrd";
        PV_TRY(images::copy_with_start(guest.spec.initrd, run->spec_.initrd, guest.start));
    }
    return run;
}

Result<> GuestRun::make_images(const Guest& guest) {
    for (std::size_t i = 0; i < guest.spec.disks.size(); ++i) {
        if (const auto* size = std::get_if<std::uint64_t>(&guest.spec.disks[i].backing)) {
            const std::string disk = fmt::format("disk{}", i);
            const fs::path image = folder() / (disk + ".img");
            PV_TRY(make_image(image, *size, disk, scratch_->free_bytes()));
            spec_.disks[i].backing = image;
        }
    }
    return {};
}

Result<> GuestRun::start_disk_servers(const OnFault& on_fault) {
    const auto is_for = [](const std::string& disk) {
        return [&disk](const faults::Fault& fault) { return fault.disk == disk; };
    };
    for (std::size_t i = 0; i < spec_.disks.size(); ++i) {
        const std::string disk = fmt::format("disk{}", i);
        const bool cut = std::ranges::any_of(plan_.steps, [&](const faults::Step& step) {
            return step.action == faults::Step::Action::disconnect && step.target == disk;
        });
        if (!cut && std::ranges::none_of(faults_, is_for(disk)) &&
            std::ranges::none_of(plan_.faults, is_for(disk))) {
            continue;
        }
        std::vector<faults::Fault> first;
        std::ranges::copy_if(faults_, std::back_inserter(first), is_for(disk));
        for (const faults::Step& step : plan_.steps) {
            if (is_from_the_start(step) && step.target == disk) {
                armed_[step.fault] = first.size();  // a server counts from 0
                first.push_back(plan_.faults[step.fault]);
            }
        }
        faults::ServerOptions options;
        options.disk = disk;
        options.backing = std::get<fs::path>(spec_.disks[i].backing);
        options.read_only = spec_.disks[i].read_only;
        options.plugin = PV_TRY(domain::installed(domain::nbdkit_plugin_file));
        options.socket_dir = folder();
        options.faults = first;
        options.on_event = [on_fault, i](const faults::FaultEvent& event) {
            if (on_fault) {
                on_fault(event, static_cast<unsigned>(i));
            }
        };
        options.nbdkit = PV_TRY(domain::find_program("nbdkit", "nbdkit")).string();
        auto& server = servers_[disk] = PV_TRY(faults::FaultServer::start(options));
        spec_.disks[i].nbd = server->socket_path();
    }
    return {};
}

std::vector<faults::Step> GuestRun::later_steps() const {
    std::vector<faults::Step> steps;
    std::ranges::remove_copy_if(plan_.steps, std::back_inserter(steps), is_from_the_start);
    return steps;
}

faults::FaultServer* GuestRun::server_of(std::string_view disk) const {
    const auto found = servers_.find(disk);
    return found == servers_.end() ? nullptr : found->second.get();
}

Result<> GuestRun::perform(const faults::Step& step) {
    using Action = faults::Step::Action;
    faults::FaultServer* server = server_of(step.target);
    switch (step.action) {
        case Action::arm:
            armed_[step.fault] = PV_TRY(server->add(plan_.faults[step.fault]));
            return {};
        case Action::disarm:
            // Its begin may not have come: then there is nothing to end.
            return armed_.contains(step.fault) ? server->remove(armed_.at(step.fault)) : Result<>{};
        case Action::disconnect:
            if (server != nullptr) {
                server->kill();
                return {};
            }
            return fail(ExitStatus::usage, fmt::format("the guest has no '{}'", step.target), "");
        case Action::link_down:
        case Action::link_up:
            return machine_->set_link(step.target, step.action == Action::link_up);
        case Action::unplug:
            return machine_->unplug(step.target);
        case Action::pull:
            return machine_->pull(step.target);
    }
    return {};
}

Result<std::string> GuestRun::describe_domain() const {
    return clone_ ? domain::clone_xml(*clone_, clone_files_, wiring_) : domain::domain_xml(spec_, wiring_);
}

Result<> GuestRun::start(domain::Console::OnOutput on_output, const OnFault& on_fault) {
    console_ =
        PV_TRY(domain::Console::listen(wiring_.console, folder() / "console.txt", std::move(on_output)));
    PV_TRY(start_disk_servers(on_fault));
    if (connect_.empty()) {
        connection_ = PV_TRY(domain::Connection::open_embedded(folder()));
    } else {
        connection_ = PV_TRY(domain::Connection::open(connect_));
        if (!connection_->embedded()) {
            wiring_.run_as = std::pair(::geteuid(), ::getegid());
            wiring_.security_models = PV_TRY(connection_->security_models());
        }
    }
    const std::string xml = PV_TRY(describe_domain());
    std::ofstream(folder() / "domain.xml") << xml;
    domain::MachineOptions options;
    options.scratch = folder();
    options.kill_disk_servers = [this] {
        for (const auto& [disk, server] : servers_) {
            server->kill();
        }
    };
    if (interrupt_count() > 0) {
        return std::unexpected(interrupted());
    }
    started_ = Clock::now();
    auto machine = domain::Machine::start(*connection_, xml, options);
    if (!machine.has_value()) {
        // A QEMU that is too old, or none at all, fails in many words; its version says it in one line.
        const Result<std::string> version =
            connection_->embedded() ? domain::probe_qemu(wiring_.emulator) : "";
        return std::unexpected(version.has_value() ? machine.error() : version.error());
    }
    machine_ = *std::move(machine);
    return {};
}

RunReport GuestRun::wait(const WaitOptions& options) {
    RunReport report;
    Typing typing(*console_, options);
    std::optional<std::chrono::milliseconds> limit = options.limit;
    while (!machine_->ended()) {
        const auto elapsed = since(started_);
        if (interrupt_count() > 0) {
            report.interrupted = true;
            break;
        }
        if (limit.has_value() && elapsed >= *limit) {
            if (options.power_off && limit == options.limit && machine_->press_power_button()) {
                limit = elapsed + *options.power_off;
            } else {
                report.timed_out = true;
                break;
            }
        }
        if (options.failed && options.failed()) {
            report.given_up = true;
            break;
        }
        if (options.tick) {
            options.tick(elapsed);
        }
        // The quarter of a second is for `failed` and `tick`; what matters wakes it at once.
        auto wait = 250ms;
        if (limit.has_value()) {
            wait = std::min(wait, std::max(*limit - elapsed, 1ms));
        }
        const int input = typing.input();
        if (typing.waits()) {
            wait = std::min(wait, 20ms);
        }
        std::array<pollfd, 3> entries = {pollfd{.fd = machine_->ended_fd(), .events = POLLIN, .revents = 0},
                                         pollfd{.fd = interrupt_fd(), .events = POLLIN, .revents = 0},
                                         pollfd{.fd = input, .events = POLLIN, .revents = 0}};
        ::poll(entries.data(), entries.size(), static_cast<int>(wait.count()));
        if (entries[2].revents != 0) {
            typing.take();
        }
        typing.pass_on();
        if (typing.left()) {
            report.left = true;
            break;
        }
    }
    if (!machine_->ended() && options.ending) {
        options.ending();
    }
    report.duration = since(started_);
    report.end = machine_->end();
    console_->finish(2s);
    report.ending = machine_->ending();
    report.facts = machine_->facts();
    report.console_tail = console_->tail();
    report.guest_status = status_in(report.console_tail);
    report.qemu_version = connection_->hypervisor_version();
    return report;
}

void GuestRun::stop() {
    if (machine_ != nullptr) {
        machine_->end();
    }
}

Result<> GuestRun::keep(const fs::path& directory) const {
    std::error_code problem;
    fs::create_directories(directory, problem);
    const fs::path qemu_log = fs::path("log") / "qemu" / (spec_.name + ".log");
    for (const fs::path& file :
         {fs::path("console.txt"), fs::path("domain.xml"), fs::path("libvirt.log"), qemu_log}) {
        std::error_code missing;
        if (!problem && fs::exists(folder() / file, missing)) {
            const fs::path target = directory / (file == qemu_log ? fs::path("qemu.log") : file);
            fs::copy_file(folder() / file, target, fs::copy_options::overwrite_existing, problem);
        }
    }
    if (problem) {
        return fail(
            ExitStatus::usage,
            fmt::format("the run could not be kept in '{}': {}", directory.string(), problem.message()),
            "name a folder that is writable and not full");
    }
    return {};
}

}  // namespace pv::cli
