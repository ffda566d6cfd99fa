// The libvirt domain of a guest, as XML.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "domain/guest.hpp"

namespace pv::domain {

/// How a domain is wired to the tool: files and sockets of one run. Empty paths leave a part out.
struct Wiring {
    std::filesystem::path emulator;  ///< qemu-system-x86_64, absolute
    std::filesystem::path console;  ///< UNIX socket the tool listens on; the first serial port connects to it
    std::filesystem::path monitor;  ///< UNIX socket the tool listens on; a QMP monitor connects to it
    std::filesystem::path log;      ///< FIFO or file for QEMU's log
    std::string log_items;          ///< what `-d` asks for: "plugin,guest_errors"
    std::filesystem::path trace_events;       ///< file with one trace event pattern a line
    std::filesystem::path plugin;             ///< libparavane-plugin.so
    std::vector<std::string> plugin_options;  ///< "probe=markers"
    /// User and group the hypervisor's process shall have; for connections whose daemon would choose another.
    std::optional<std::pair<unsigned, unsigned>> run_as;
    /// The connection's security models ("dac", "apparmor"), with run_as: all but `dac` are told to let the
    /// domain be, for it uses files of its user's that no model labelled.
    std::vector<std::string> security_models;
};

/// The domain's XML (libvirt.org/formatdomain). Disks need a path or an NBD socket by now: a size is an
/// error of the caller (usage). Paths are made absolute. What libvirt has no element for (NVMe before libvirt
/// 11.5, trace, plugin, monitor) goes through <qemu:commandline>, in QEMU's JSON syntax, where no character
/// of a path is special. Errors: usage: a string that XML 1.0 cannot carry (control characters, not UTF-8).
Result<std::string> domain_xml(const GuestSpec& guest, const Wiring& wiring);

}  // namespace pv::domain
