// Where things are: what belongs to paravane, and the programs of others it needs.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace pv::domain {

/// The folder of what belongs to the command: PARAVANE_LIBDIR, else ../lib/paravane beside the executable's
/// own (symbolic links followed).
std::filesystem::path library_dir();

/// A file of library_dir(). Errors: unavailable, naming it.
Result<std::filesystem::path> installed(std::string_view file);

/// `program` in PATH, absolute. Errors: unavailable; `package` goes into the hint.
Result<std::filesystem::path> find_program(const std::string& program, std::string_view package);

/// QEMU for x86-64: PARAVANE_QEMU, else qemu-system-x86_64 in PATH.
Result<std::filesystem::path> find_qemu();

inline constexpr const char* kernel_file = "paravane-kernel.elf";
inline constexpr const char* qemu_plugin_file = "libparavane-plugin.so";
inline constexpr const char* nbdkit_plugin_file = "nbdkit-paravane-plugin.so";

}  // namespace pv::domain
