// A profile made fit for one kernel: names become addresses and offsets, in the form the plugin reads.
// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string>

#include "base/error.hpp"
#include "profiles/kallsyms.hpp"
#include "profiles/linux_image.hpp"
#include "profiles/profile.hpp"

namespace pv::profiles {

/// Whether `profile` is for this kernel, by its banner. Errors: usage: it is not.
[[nodiscard]] Result<> fits(const Profile& profile, const LinuxImage& kernel);

/// The text for the plugin's argument profile= (docs/profiles.md has its form). A call whose symbol the
/// kernel does not have is an error: its mappings would be missed. Errors: usage: the kernel lacks a symbol,
/// a structure, or type information.
[[nodiscard]] Result<std::string> resolve(const Profile& profile, const LinuxImage& kernel,
                                          std::span<const KernelSymbol> symbols);

}  // namespace pv::profiles
