// What of this machine works, told by using it.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include "base/error.hpp"

namespace pv::domain {

/// Each returns a line about what works. Errors: unavailable, with what to install. None takes longer than
/// ten seconds.

/// QEMU's version; 9.1 or newer is needed (plugin interface 4).
Result<std::string> probe_qemu(const std::filesystem::path& qemu);

/// Loads the plugin into a QEMU without a machine.
Result<std::string> probe_plugin(const std::filesystem::path& qemu, const std::filesystem::path& plugin);

/// Lets nbdkit load our plugin.
Result<std::string> probe_nbdkit(const std::filesystem::path& nbdkit, const std::filesystem::path& plugin);

/// Runs a few real-mode instructions in a virtual machine of KVM's: /dev/kvm may be there and not work.
Result<std::string> probe_kvm();

}  // namespace pv::domain
