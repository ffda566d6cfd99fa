// Copies of domains as guests.
// SPDX-License-Identifier: MIT
#include "cli/clone_guest.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/terminal.hpp"

namespace pv::cli {
namespace {

namespace fs = std::filesystem;

std::string default_uri() {
    return ::geteuid() == 0 ? "qemu:///system" : "qemu:///session";
}

// What the domain says itself, and what needs disks that are the tool's own.
Result<> refuse_others(const GuestOptions& options) {
    const GuestOptions standard;
    const std::array others = {std::pair("a recipe", !options.recipe.empty()),
                               std::pair("--kernel", !options.kernel.empty()),
                               std::pair("--initrd", !options.initrd.empty()),
                               std::pair("--append", options.append.has_value()),
                               std::pair("--memory", !options.memory.empty()),
                               std::pair("--smp", options.cpus != standard.cpus),
                               std::pair("--disk", !options.disks.empty()),
                               std::pair("--net", !options.networks.empty()),
                               std::pair("--iommu", options.iommu != standard.iommu),
                               std::pair("--accel", options.accelerator != standard.accelerator),
                               std::pair("--fault", !options.faults.empty()),
                               std::pair("--fault-plan", !options.fault_plan.empty())};
    for (const auto& [name, given] : others) {
        if (given) {
            return fail(ExitStatus::usage, fmt::format("{} does not go with --domain", name),
                        "the domain says what its copy is made of; change a copy of its XML, and give that: "
                        "--domain ./copy.xml");
        }
    }
    return {};
}

}  // namespace

Result<Guest> understand_clone(const GuestOptions& options, bool quiet) {
    PV_TRY(refuse_others(options));
    std::vector<std::string> notes;
    std::string xml = PV_TRY(domain::read_definition(
        options.domain, options.connect.empty() ? default_uri() : options.connect, notes));
    Guest guest;
    guest.clone = PV_TRY(domain::read_clone(std::move(xml)));
    notes.insert(notes.end(), guest.clone->left_out.begin(), guest.clone->left_out.end());
    for (const std::string& note : notes) {
        if (!quiet) {
            fmt::print(stderr, "paravane: the copy of '{}': {}\n", escape_for_terminal(guest.clone->original),
                       escape_for_terminal(note));
        }
    }
    guest.spec.cpus = guest.clone->cpus;
    guest.spec.memory = guest.clone->memory;
    guest.spec.kernel = guest.clone->kernel;
    guest.symbols = options.symbols;
    if (!options.timeout.empty()) {
        guest.limit = PV_TRY(parse_duration(options.timeout));
    }
    return guest;
}

domain::CloneFiles name_clone_files(const domain::Clone& clone, const fs::path& folder) {
    domain::CloneFiles files;
    for (const domain::CloneDisk& disk : clone.disks) {
        // By number: a target's name is the description's, and could be any text.
        files.overlays.push_back(folder / fmt::format("overlay{}.qcow2", &disk - clone.disks.data()));
    }
    if (!clone.nvram.empty()) {
        files.nvram = folder / "nvram.fd";
    }
    return files;
}

Result<domain::CloneFiles> make_clone_files(const domain::Clone& clone, const fs::path& folder) {
    domain::CloneFiles files = name_clone_files(clone, folder);
    for (std::size_t i = 0; i < clone.disks.size(); ++i) {
        PV_TRY(domain::make_overlay(clone.disks[i], files.overlays[i]));
    }
    std::error_code problem;
    if (!files.nvram.empty() && !fs::exists(clone.nvram, problem)) {
        files.nvram.clear();  // it never started: the firmware makes its own
    } else if (!files.nvram.empty() && !fs::copy_file(clone.nvram, files.nvram, problem)) {
        return fail(ExitStatus::unavailable,
                    fmt::format("the UEFI variables '{}' could not be copied: {}", clone.nvram.string(),
                                problem.message()),
                    "they belong to whoever runs the domain: run paravane as root");
    }
    return files;
}

Result<> describe_devices(store::Writer& writer, const domain::Clone& clone) {
    for (const domain::CloneDisk& disk : clone.disks) {
        if (disk.bdf) {
            PV_TRY(writer.add_device(
                {.bdf = *disk.bdf, .name = disk.target, .kind = disk.kind, .detail = disk.image.string()}));
        }
    }
    for (std::size_t i = 0; i < clone.cards.size(); ++i) {
        const domain::CloneCard& card = clone.cards[i];
        if (card.bdf) {
            PV_TRY(writer.add_device({.bdf = *card.bdf,
                                      .name = fmt::format("net{}", i),
                                      .kind = card.model == "virtio" ? "virtio-net" : card.model,
                                      .detail = "no link"}));
        }
    }
    return {};
}

}  // namespace pv::cli
