// Known words of libvirt and QEMU.
// SPDX-License-Identifier: MIT
#include "domain/diagnosis.hpp"

#include <fmt/format.h>

#include <array>
#include <string>

namespace pv::domain {
namespace {

struct Known {
    std::string_view words;
    ExitStatus status;
    std::string_view message;
    std::string_view hint;
};

// QEMU's and libvirt's wording, seen with 7.2 to 10.0 and 9.0.
constexpr std::array known = {
    Known{"to get \"write\" lock", ExitStatus::usage, "a disk is in use by another process",
          "end the virtual machine that has it open, or give a copy"},
    Known{"to get shared \"write\" lock", ExitStatus::usage, "a disk is in use by another process",
          "end the virtual machine that has it open, or give a copy"},
    Known{"plugin interface not enabled", ExitStatus::unavailable, "this QEMU was built without TCG plugins",
          "install QEMU 9.1 or newer with plugins (Debian 12: from bookworm-backports); `paravane doctor` "
          "tells more"},
    Known{"-plugin: invalid option", ExitStatus::unavailable, "this QEMU was built without TCG plugins",
          "install QEMU 9.1 or newer with plugins (Debian 12: from bookworm-backports); `paravane doctor` "
          "tells more"},
    Known{
        "Could not load plugin", ExitStatus::unavailable, "QEMU refused paravane's plugin",
        "`paravane doctor` tries it alone; QEMU 9.1 or newer is needed (Debian 12: from bookworm-backports)"},
    Known{"Invalid parameter 'plugin'", ExitStatus::unavailable, "this QEMU was built without TCG plugins",
          "install QEMU 9.1 or newer with plugins (Debian 12: from bookworm-backports)"},
    Known{"Could not access KVM", ExitStatus::unavailable, "KVM cannot be used on this machine",
          "use --accel tcg, or get access to /dev/kvm"},
    Known{"failed to initialize kvm", ExitStatus::unavailable, "KVM cannot be used on this machine",
          "use --accel tcg, or get access to /dev/kvm"},
    Known{"does not support virt type 'kvm'", ExitStatus::unavailable, "KVM cannot be used on this machine",
          "use --accel tcg, or get access to /dev/kvm"},
    Known{"Cannot check QEMU binary", ExitStatus::unavailable, "QEMU is not installed",
          "apt-get install qemu-system-x86 (9.1 or newer; Debian 12: from bookworm-backports)"},
    Known{"Cannot find suitable emulator", ExitStatus::unavailable, "no QEMU for x86-64 is installed",
          "apt-get install qemu-system-x86 (9.1 or newer; Debian 12: from bookworm-backports)"},
    Known{"cannot set up guest memory", ExitStatus::usage, "the guest's memory does not fit this machine",
          "give --memory less, e.g. 512M"},
    Known{"Cannot allocate memory", ExitStatus::usage, "the guest's memory does not fit this machine",
          "give --memory less, e.g. 512M"},
    Known{"No space left on device", ExitStatus::unavailable, "the disk is full",
          "free some space, or set TMPDIR to a folder that has some"},
};

}  // namespace

Error diagnose_start(std::string_view text) {
    for (const Known& entry : known) {
        if (text.find(entry.words) != std::string_view::npos) {
            return {entry.status, fmt::format("the guest cannot be started: {} ({})", entry.message, text),
                    std::string(entry.hint)};
        }
    }
    return {ExitStatus::unavailable, fmt::format("the guest cannot be started: {}", text),
            "`paravane doctor` tries each part alone"};
}

}  // namespace pv::domain
