// `paravane domain xml`: prints the libvirt domain a guest would run in.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "cli/clone_guest.hpp"
#include "cli/guest_options.hpp"
#include "cli/interrupt.hpp"
#include "cli/recipe_guest.hpp"
#include "cli/subcommand.hpp"
#include "domain/installation.hpp"
#include "domain/xml.hpp"

namespace pv::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array examples = {
    Example{"paravane domain xml", "the domain of paravane's own kernel"},
    Example{"paravane domain xml --domain web", "how the copy of a domain differs from it"},
    Example{"paravane domain xml --kernel vmlinuz --disk nvme:disk.img > guest.xml",
            "a starting point for one's own"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "printed"},
    StatusMeaning{ExitStatus::usage, "wrong arguments, or an input that cannot be used"},
    StatusMeaning{ExitStatus::unavailable, "QEMU or a part of paravane is missing"},
};

Result<ExitStatus> print_xml(const GuestOptions& options) {
    catch_interrupts();
    Guest guest = PV_TRY(understand(options, start_unattended(), false));
    guest.spec.name = "paravane-guest";
    const fs::path folder = "/tmp/pv-XXXXXX";
    for (std::size_t i = 0; i < guest.spec.disks.size(); ++i) {
        domain::Disk& disk = guest.spec.disks[i];
        if (std::holds_alternative<std::uint64_t>(disk.backing)) {
            disk.backing = folder / fmt::format("disk{}.img", i);
        }
    }
    domain::Wiring wiring;
    wiring.emulator = PV_TRY(domain::find_qemu());
    wiring.console = folder / "console";
    if (guest.clone) {
        domain::CloneFiles files = name_clone_files(*guest.clone, folder);
        files.name = guest.spec.name;
        fmt::print("{}", PV_TRY(domain::clone_xml(*guest.clone, files, wiring)));
    } else {
        fmt::print("{}", PV_TRY(domain::domain_xml(guest.spec, wiring)));
    }
    return ExitStatus::pass;
}

Action define(CLI::App& app) {
    auto options = std::make_shared<GuestOptions>();
    add_guest_options(app, *options);
    return [options] { return print_xml(*options); };
}

}  // namespace

const Subcommand& domain_xml_subcommand() {
    static const Subcommand subcommand{
        .name = "domain xml",
        .summary = "Print the libvirt domain a guest would run in",
        .description =
            "The XML as `paravane run` gives it to libvirt, whatever the connection. Images, and the socket "
            "of the "
            "serial console, that a run makes for itself stand as /tmp/pv-XXXXXX/...; what `record` and "
            "`check` add "
            "to watch the guest (trace, plugin) is left out.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
