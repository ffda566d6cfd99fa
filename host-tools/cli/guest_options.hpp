// The options that say which guest: the same for run, record, check and domain xml.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "domain/clone.hpp"
#include "domain/guest.hpp"
#include "faults/plan.hpp"
#include "faults/plan_file.hpp"
#include "images/start.hpp"

namespace CLI {
class App;
}

namespace pv::cli {

/// As typed.
struct GuestOptions {
    std::string recipe;                ///< empty: none
    std::vector<std::string> command;  ///< instead of the recipe's; empty: the recipe's
    std::string domain;                ///< a domain to copy; empty: none
    std::string kernel;
    std::string initrd;
    std::optional<std::string> append;
    std::string memory;  ///< empty: 512M, or what the recipe says
    unsigned cpus = 1;
    std::vector<std::string> disks;
    std::vector<std::string> networks;
    std::vector<std::string> faults;
    std::string fault_plan;
    std::string accelerator = "tcg";
    std::string iommu = "none";
    std::string connect;
    std::string symbols;
    std::string profile;
    std::string timeout;
};

/// As understood.
struct Guest {
    domain::GuestSpec spec;                          ///< without a name
    std::optional<domain::Clone> clone;              ///< of --domain: spec says its size alone then
    bool is_recipe = false;                          ///< spec.initrd is a recipe's image
    images::Start start;                             ///< what a recipe's /init is told
    std::vector<faults::Fault> faults;               ///< of --fault
    faults::Plan plan;                               ///< of --fault-plan; empty without one
    std::filesystem::path symbols;                   ///< empty: none to read
    std::string profile;                             ///< name or path of the kernel's; empty: none
    std::string connect;                             ///< empty: the embedded driver
    std::optional<std::chrono::milliseconds> limit;  ///< how long the guest may run
};

/// Adds --kernel, --initrd, ... to `app`; `options` must live as long as it.
void add_guest_options(CLI::App& app, GuestOptions& options);

/// Understands and validates the options (domain::validate included). GUEST defaults to our kernel with the
/// workload `exercise`; our kernels get an NVMe and a virtio-blk disk of 64 MiB when no disk is named.
/// A recipe's image is built, or found, with a line about it on a terminal unless `quiet`; `start` is then
/// told to its /init.
Result<Guest> understand(const GuestOptions& options, const images::Start& start, bool quiet);

/// A span of time as people write it: 90s, 2m, 500ms, 1h. Errors: usage.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The command that repeats a run of `subcommand`, with the options that differ from the defaults, quoted for
/// a shell.
std::string reproduce(std::string_view subcommand, const GuestOptions& options);

}  // namespace pv::cli
