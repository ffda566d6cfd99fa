// A load for measuring: one thread keeps requests of one kind under way on one disk, and compares nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "exercise/disks.hpp"

namespace pv::exercise {

/// Does what `text` asks for (docs/exercise.md, "Loads") and prints `load: operations N nanoseconds T`.
/// Overwrites the disk when told to write. Errors, with a line on the console: invalid_argument;
/// out_of_memory; out_of_range (no such disk, or one smaller than a request); what a request failed with.
[[nodiscard]] Result<> load(Disks& disks, std::string_view text);

}  // namespace pv::exercise
