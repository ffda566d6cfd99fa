// A guest that is a copy of a domain: --domain.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <filesystem>

#include "base/error.hpp"
#include "cli/guest_options.hpp"
#include "domain/clone.hpp"
#include "domain/xml.hpp"
#include "store/writer.hpp"

namespace pv::cli {

/// How long a copy has to end by itself at its power button: translated, an installed system takes its time.
inline constexpr std::chrono::milliseconds clone_power_off = std::chrono::minutes(2);

/// The guest of --domain, and lines about what the copy does without on standard error unless `quiet`.
/// Errors: usage: options that say what the domain's description says; as read_definition and read_clone.
Result<Guest> understand_clone(const GuestOptions& options, bool quiet);

/// Lays an overlay over each disk, and copies the UEFI variables, in `folder`. Errors: as make_overlay;
/// unavailable: no space.
Result<domain::CloneFiles> make_clone_files(const domain::Clone& clone, const std::filesystem::path& folder);

/// The same paths, without making anything.
domain::CloneFiles name_clone_files(const domain::Clone& clone, const std::filesystem::path& folder);

/// What the trace says of the copy's devices.
Result<> describe_devices(store::Writer& writer, const domain::Clone& clone);

}  // namespace pv::cli
