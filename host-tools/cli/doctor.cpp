// `paravane doctor`: what this machine can do, and what to install.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/size.hpp"
#include "base/terminal.hpp"
#include "cli/subcommand.hpp"
#include "domain/connection.hpp"
#include "domain/installation.hpp"
#include "domain/probe.hpp"
#include "domain/scratch.hpp"

namespace pv::cli {
namespace {

struct Options {
    bool json = false;
};

/// One thing that was tried.
struct Finding {
    std::string part;
    bool works = false;
    bool needed = true;  ///< `check` cannot run without
    std::string detail;  ///< what was seen, or why it does not work
    std::string hint;
};

constexpr std::uint64_t wanted_space = std::uint64_t{512} << 20;

constexpr std::array examples = {
    Example{"paravane doctor", "see whether a check can run here, and what is missing"},
    Example{"paravane doctor --json", "the same for a program"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "`paravane check` can run here"},
    StatusMeaning{ExitStatus::usage, "wrong arguments"},
    StatusMeaning{ExitStatus::unavailable, "something it needs is missing; the table says what to install"},
};

Finding of(std::string part, const Result<std::string>& tried, bool needed = true) {
    if (tried.has_value()) {
        return {std::move(part), true, needed, *tried, {}};
    }
    return {std::move(part), false, needed, tried.error().message, tried.error().hint};
}

Result<std::string> path_text(const Result<std::filesystem::path>& path) {
    if (!path.has_value()) {
        return std::unexpected(path.error());
    }
    return path->string();
}

Result<std::string> version_of(const Result<std::filesystem::path>& qemu) {
    return domain::probe_qemu(PV_TRY(qemu));
}

Result<std::string> loads(const Result<std::filesystem::path>& program,
                          const Result<std::filesystem::path>& plugin,
                          Result<std::string> (*probe)(const std::filesystem::path&,
                                                       const std::filesystem::path&)) {
    return probe(PV_TRY(program), PV_TRY(plugin));
}

Result<std::string> space(const domain::Scratch& scratch) {
    const std::uint64_t free = scratch.free_bytes();
    const std::string text =
        fmt::format("{} free in {}", format_size(free >> 20U << 20U), scratch.path().parent_path().string());
    if (free < wanted_space) {
        return fail(ExitStatus::unavailable, text, "free some space, or set TMPDIR to a folder that has it");
    }
    return text;
}

Result<std::string> libvirt(const domain::Scratch& scratch) {
    const auto connection = PV_TRY(domain::Connection::open_embedded(scratch.path()));
    const std::string qemu = connection->hypervisor_version();
    return fmt::format("libvirt {}, embedded driver, QEMU {}", domain::libvirt_version(),
                       qemu.empty() ? std::string("not reported") : qemu);
}

std::vector<Finding> examine(const domain::Scratch& scratch) {
    std::vector<Finding> findings;
    const auto qemu = domain::find_qemu();
    const auto plugin = domain::installed(domain::qemu_plugin_file);
    findings.push_back(of("QEMU", version_of(qemu)));
    findings.push_back(of("plugin", loads(qemu, plugin, domain::probe_plugin)));
    findings.push_back(of("libvirt", libvirt(scratch)));
    findings.push_back(of("paravane's kernel", path_text(domain::installed(domain::kernel_file))));
    const auto nbdkit = domain::find_program("nbdkit", "nbdkit");
    const auto faulty = domain::installed(domain::nbdkit_plugin_file);
    findings.push_back(of("nbdkit (--fault)", loads(nbdkit, faulty, domain::probe_nbdkit), false));
    findings.push_back(of("KVM (--accel kvm)", domain::probe_kvm(), false));
    findings.push_back(of("disk space", space(scratch)));
    return findings;
}

Result<ExitStatus> doctor(const Options& options) {
    const auto scratch = PV_TRY(domain::Scratch::create());
    const std::vector<Finding> findings = examine(*scratch);
    bool able = true;
    nlohmann::json parts = nlohmann::json::array();
    for (const Finding& finding : findings) {
        able = able && (finding.works || !finding.needed);
        parts.push_back({{"part", finding.part},
                         {"works", finding.works},
                         {"needed", finding.needed},
                         {"detail", escape_for_terminal(finding.detail)},
                         {"hint", finding.hint}});
        if (!options.json) {
            fmt::print("{:<18} {:<8} {}\n", finding.part,
                       finding.works    ? "works"
                       : finding.needed ? "MISSING"
                                        : "no",
                       escape_for_terminal(finding.detail));
            if (!finding.works && !finding.hint.empty()) {
                fmt::print("{:<27} {}\n", "", finding.hint);
            }
        }
    }
    if (options.json) {
        fmt::print("{}\n", nlohmann::json{{"able", able}, {"parts", parts}}.dump(2));
    } else {
        fmt::print("\n`paravane check` {} run here\n", able ? "can" : "cannot");
    }
    return able ? ExitStatus::pass : ExitStatus::unavailable;
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
        .description =
            "Tries each thing a check needs by using it: QEMU's version, paravane's plugin loaded into it, "
            "libvirt's "
            "embedded driver, nbdkit, KVM (a few instructions are run), disk space.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
