// Runs one request during which one rule is broken on purpose (paravane-kernel-misbehave.elf).
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "exercise/disks.hpp"

namespace pv::exercise {

/// `what` is RULE, RULE:nvme or RULE:virtio-blk; without a kind the first disk is taken. Errors, each with a
/// line on the console: not_supported (not in this build), invalid_argument (no such rule or kind), not_found
/// (no such disk), io (the rule was not broken after all).
[[nodiscard]] Result<> provoke(Disks& disks, std::string_view what);

/// Chooses what devices do wrong from here on: names divided by commas (misbehave/device_fault.hpp). Errors,
/// each with a line on the console: not_supported (not in this build), invalid_argument (no such fault).
[[nodiscard]] Result<> choose_device_faults(std::string_view names);

}  // namespace pv::exercise
