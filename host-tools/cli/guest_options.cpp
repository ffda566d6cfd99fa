// Options of a guest.
// SPDX-License-Identifier: MIT
#include "cli/guest_options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <string_view>

#include "base/size.hpp"
#include "cli/clone_guest.hpp"
#include "cli/plan_run.hpp"
#include "cli/recipe_guest.hpp"
#include "domain/installation.hpp"

namespace pv::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array default_disks = {"nvme:64M", "virtio-blk:64M"};
constexpr const char* default_command_line = "exercise";

struct Kernel {
    fs::path path;
    bool ours = false;
};

// A bare name that is no file here may be one of ours: paravane-kernel-misbehave.elf.
Result<Kernel> find_kernel(const std::string& name) {
    if (name.empty()) {
        return Kernel{PV_TRY(domain::installed(domain::kernel_file)), true};
    }
    std::error_code problem;
    const fs::path installed = domain::library_dir() / name;
    if (name.find('/') == std::string::npos && !fs::exists(name, problem) &&
        fs::is_regular_file(installed, problem)) {
        return Kernel{installed, true};
    }
    const bool ours = fs::equivalent(fs::absolute(name).parent_path(), domain::library_dir(), problem);
    return Kernel{name, ours};
}

std::string quoted(const std::string& word) {
    static constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=+@%";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
        return word;
    }
    std::string result = "'";
    for (const char letter : word) {
        if (letter == '\'') {
            result += "'\\''";
        } else {
            result += letter;
        }
    }
    return result + "'";
}

// What the plan takes out sits in a slot.
Result<> make_removable(Guest& guest) {
    using Action = faults::Step::Action;
    for (const faults::Step& step : guest.plan.steps) {
        if (step.action != Action::unplug && step.action != Action::pull) {
            continue;
        }
        bool known = false;
        for (std::size_t i = 0; i < guest.spec.disks.size(); ++i) {
            if (step.target == fmt::format("disk{}", i)) {
                known = guest.spec.disks[i].removable = true;
            }
        }
        for (std::size_t i = 0; i < guest.spec.networks.size(); ++i) {
            if (step.target == fmt::format("net{}", i)) {
                known = guest.spec.networks[i].removable = true;
            }
        }
        if (!known) {
            return fail(ExitStatus::usage, fmt::format("'{}': the guest has no '{}'", step.text, step.target),
                        "devices are disk0, disk1, ... and net0, net1, ... in the order they are given");
        }
    }
    return {};
}

Result<> check_fault_disks(const Guest& guest) {
    std::vector<faults::Fault> all = guest.faults;
    all.insert(all.end(), guest.plan.faults.begin(), guest.plan.faults.end());
    for (const faults::Fault& fault : all) {
        bool known = false;
        for (std::size_t i = 0; i < guest.spec.disks.size(); ++i) {
            known = known || fault.disk == fmt::format("disk{}", i);
        }
        if (!known) {
            return fail(ExitStatus::usage,
                        fmt::format("fault '{}': the guest has no '{}'", fault.text, fault.disk),
                        guest.spec.disks.empty()
                            ? std::string("give it a disk: --disk nvme:64M")
                            : fmt::format("its disks are disk0 to disk{}, in the order of --disk",
                                          guest.spec.disks.size() - 1));
        }
    }
    return {};
}

Result<> use_recipe(Guest& guest, const GuestOptions& options, bool ours, const images::Start& start,
                    bool quiet) {
    if (!options.initrd.empty()) {
        return fail(ExitStatus::usage, "--initrd and a recipe are two initial file systems",
                    "leave one of them out; a recipe's [files] may bring files of your own");
    }
    const images::Recipe recipe = PV_TRY(read_named_recipe(options.recipe));
    const images::BuildOptions how = PV_TRY(build_options());
    const images::Built built = PV_TRY(build_image(recipe, how, quiet));
    guest.is_recipe = true;
    guest.start = start;
    guest.start.command = start.unattended() && options.command.empty() ? recipe.session : options.command;
    guest.spec.initrd = built.image;
    guest.spec.command_line = recipe_command_line(recipe, ours);
    // Where nobody types, devices are what is looked at: ours are at work beside the programs.
    const std::string more = options.append.value_or(ours && start.unattended() ? default_command_line : "");
    if (!more.empty()) {
        guest.spec.command_line += (guest.spec.command_line.empty() ? "" : " ") + more;
    }
    if (options.memory.empty() && recipe.memory) {
        guest.spec.memory = *recipe.memory;
    }
    return {};
}

/// A value's error with the option it was given to.
template <class T>
Result<T> of_option(std::string_view option, Result<T> value) {
    if (!value.has_value()) {
        value.error().message = fmt::format("{}: {}", option, value.error().message);
    }
    return value;
}

}  // namespace

void add_guest_options(CLI::App& app, GuestOptions& options) {
    const std::string group = "Guest";
    app.add_option(
           "RECIPE", options.recipe,
           "A recipe to boot: minimal, shell, sql, python (`paravane image list`), or the path of one's own "
           "(default: no recipe)")
        ->type_name("");
    app.add_option("COMMAND", options.command,
                   "After --: what to start instead of the recipe's command, with its arguments")
        ->type_name("");
    app.add_option(
           "--domain", options.domain,
           "A copy of a libvirt domain that is shut off, or of the one an XML file describes: its disks "
           "behind overlays, its network cards without a link. The domain itself is only read")
        ->type_name("NAME|FILE")
        ->group(group);
    app.add_option("--kernel", options.kernel,
                   "Linux bzImage or ELF64 with a PVH note; a bare name may be one of paravane's own kernels "
                   "(default: paravane's kernel, running `exercise`)")
        ->type_name("FILE")
        ->group(group);
    app.add_option("--initrd", options.initrd, "Initial file system for the kernel")
        ->type_name("FILE")
        ->group(group);
    app.add_option("--append", options.append, "Kernel command line")->type_name("TEXT")->group(group);
    app.add_option("--memory", options.memory, "Memory: 512M, 2G (default: 512M, or what the recipe says)")
        ->type_name("SIZE")
        ->group(group);
    app.add_option("--smp", options.cpus, "Processors")->type_name("N")->capture_default_str()->group(group);
    app.add_option(
           "--disk", options.disks,
           "A disk: nvme or virtio-blk (empty, 64M), or with a size (empty disk, gone after the run) or a "
           "raw image's path, "
           "then ,readonly, ,packed (virtio-blk's packed rings) or ,block-size=4096. Repeatable: disk0, "
           "disk1, ...")
        ->type_name("KIND:SIZE|PATH")
        ->take_all()
        ->allow_extra_args(false)
        ->group(group);
    app.add_option(
           "--net", options.networks,
           "A virtio-net device: none (default), user (QEMU's own network; ,hostfwd=tcp:PORT:GUESTPORT "
           "leads a port of this machine into the guest), or listen:PATH and connect:PATH for two guests "
           "on a UNIX socket. Repeatable: net0, net1, ...")
        ->type_name("KIND")
        ->take_all()
        ->allow_extra_args(false)
        ->group(group);
    app.add_option("--fault", options.faults,
                   "A fault of a disk: 'stall disk0 read after 100 for 8s', 'fail disk0 write 3 EIO', "
                   "'delay disk1 any by 5ms'. Repeatable")
        ->type_name("PLAN")
        ->take_all()
        ->allow_extra_args(false)
        ->group(group);
    app.add_option("--fault-plan", options.fault_plan,
                   "Faults and other steps in a file, each with its moment, and what must hold afterwards "
                   "(docs/faults.md)")
        ->type_name("FILE")
        ->group(group);
    app.add_option("--symbols", options.symbols,
                   "Kernel symbols: vmlinux or System.map (default: the kernel's own)")
        ->type_name("FILE")
        ->group(group);
    app.add_option("--profile", options.profile,
                   "What the functions of an unmodified kernel mean for devices' memory: debian-6.1, or the "
                   "path of one's own (docs/profiles.md)")
        ->type_name("NAME|FILE")
        ->group(group);
    app.add_option("--accel", options.accelerator,
                   "tcg (default), or kvm: no plugin there, so no markers, rings or control registers")
        ->type_name("tcg|kvm")
        ->group(group);
    app.add_option(
           "--iommu", options.iommu,
           "Unit between the devices and memory: intel (VT-d with interrupt remapping), virtio, or none "
           "(default)")
        ->type_name("none|intel|virtio")
        ->group(group);
    app.add_option("--connect", options.connect,
                   "libvirt connection of this machine, e.g. qemu:///system (default: no daemon needed). "
                   "With --domain: where "
                   "the domain is defined (default: qemu:///system for root, else qemu:///session)")
        ->type_name("URI")
        ->group(group);
    app.add_option(
           "--timeout", options.timeout,
           "End the guest after this time: 90s, 5m. A copy of a domain has its power button pressed then")
        ->type_name("TIME")
        ->group(group);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::int64_t milliseconds;
    };

    static constexpr std::array units = {Unit{"ms", 1}, Unit{"s", 1'000}, Unit{"m", 60'000},
                                         Unit{"h", 3'600'000}};
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem == std::errc() && number > 0) {
        const std::string_view word = text.substr(static_cast<std::size_t>(end - text.data()));
        for (const Unit& unit : units) {
            if (word == unit.name && number <= std::int64_t{7} * 24 * 3'600'000 / unit.milliseconds) {
                return std::chrono::milliseconds(number * unit.milliseconds);
            }
        }
    }
    return fail(ExitStatus::usage, fmt::format("'{}' is no span of time", text),
                "write a whole number with ms, s, m or h, at most a week: 90s");
}

Result<Guest> understand(const GuestOptions& options, const images::Start& start, bool quiet) {
    if (!options.domain.empty()) {
        return understand_clone(options, quiet);
    }
    Guest guest;
    domain::GuestSpec& spec = guest.spec;
    const Kernel kernel = PV_TRY(find_kernel(options.kernel));
    spec.kernel = kernel.path;
    spec.initrd = options.initrd;
    spec.command_line = options.append.value_or(options.kernel.empty() ? default_command_line : "");
    if (!options.memory.empty()) {
        spec.memory = PV_TRY(of_option("--memory", parse_size(options.memory)));
    }
    if (!options.recipe.empty()) {
        PV_TRY(use_recipe(guest, options, kernel.ours, start, quiet));
    }
    spec.cpus = options.cpus;
    if (options.accelerator == "kvm") {
        spec.accelerator = domain::Accelerator::kvm;
    } else if (options.accelerator != "tcg") {
        return fail(ExitStatus::usage, fmt::format("'{}' is no accelerator", options.accelerator),
                    "--accel takes tcg or kvm");
    }
    spec.iommu = PV_TRY(domain::parse_iommu(options.iommu));
    std::vector<std::string> disks = options.disks;
    if (disks.empty() && kernel.ours && (!guest.is_recipe || start.unattended())) {
        disks.assign(default_disks.begin(), default_disks.end());
    }
    for (const std::string& disk : disks) {
        spec.disks.push_back(PV_TRY(domain::parse_disk(disk)));
    }
    for (const std::string& network : options.networks) {
        if (network != "none") {
            spec.networks.push_back(PV_TRY(of_option("--net", domain::parse_network(network))));
        }
    }
    for (const std::string& fault : options.faults) {
        guest.faults.push_back(PV_TRY(faults::parse_fault(fault)));
    }
    if (!options.fault_plan.empty()) {
        guest.plan = PV_TRY(faults::read_plan(options.fault_plan));
        PV_TRY(check_events(guest.plan.steps));
        PV_TRY(make_removable(guest));
    }
    PV_TRY(check_fault_disks(guest));
    if (!options.timeout.empty()) {
        guest.limit = PV_TRY(of_option("--timeout", parse_duration(options.timeout)));
    }
    PV_TRY(domain::validate(spec));
    guest.symbols = options.symbols.empty() ? spec.kernel : fs::path(options.symbols);
    guest.connect = options.connect;
    guest.profile = options.profile;
    if (!guest.profile.empty() && spec.accelerator != domain::Accelerator::tcg) {
        return fail(ExitStatus::usage, "--profile needs the plugin, which sees nothing under KVM",
                    "leave --accel out: guests run under TCG then");
    }
    return guest;
}

std::string reproduce(std::string_view subcommand, const GuestOptions& options) {
    std::string command = fmt::format("paravane {}", subcommand);
    const auto add = [&](std::string_view option, const std::string& value) {
        command += fmt::format(" {} {}", option, quoted(value));
    };
    const GuestOptions standard;
    if (!options.domain.empty()) {
        add("--domain", options.domain);
    }
    if (!options.kernel.empty()) {
        add("--kernel", options.kernel);
    }
    if (!options.initrd.empty()) {
        add("--initrd", options.initrd);
    }
    if (options.append.has_value()) {
        add("--append", *options.append);
    }
    if (options.memory != standard.memory) {
        add("--memory", options.memory);
    }
    if (options.cpus != standard.cpus) {
        add("--smp", fmt::format("{}", options.cpus));
    }
    for (const std::string& disk : options.disks) {
        add("--disk", disk);
    }
    for (const std::string& network : options.networks) {
        add("--net", network);
    }
    for (const std::string& fault : options.faults) {
        add("--fault", fault);
    }
    if (!options.fault_plan.empty()) {
        add("--fault-plan", options.fault_plan);
    }
    if (options.accelerator != standard.accelerator) {
        add("--accel", options.accelerator);
    }
    if (options.iommu != standard.iommu) {
        add("--iommu", options.iommu);
    }
    if (!options.connect.empty()) {
        add("--connect", options.connect);
    }
    if (!options.profile.empty()) {
        add("--profile", options.profile);
    }
    if (!options.timeout.empty()) {
        add("--timeout", options.timeout);
    }
    if (!options.recipe.empty()) {
        command += " " + quoted(options.recipe);
    }
    for (std::size_t i = 0; i < options.command.size(); ++i) {
        command += (i == 0 ? " -- " : " ") + quoted(options.command[i]);
    }
    return command;
}

}  // namespace pv::cli
