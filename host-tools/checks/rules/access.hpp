// What the rules about DMA accesses share: whose mapping covers an access, and how to tell of it.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "checks/findings.hpp"
#include "checks/model/mappings.hpp"
#include "checks/model/types.hpp"

namespace pv::checks {

class World;

/// True when the rules about mappings have to judge `transfer`: the guest promises to mark its DMA, and had
/// said hello when the access began (the firmware's accesses come before).
[[nodiscard]] bool is_judged(const World& world, const Transfer& transfer);

/// How `transfer` stands with the mappings of its device; of any device, when its device is not known.
[[nodiscard]] Coverage coverage_of(const World& world, const Transfer& transfer);

/// "disk0 wrote 512 bytes at bus address 0x1f3000" for `length` bytes of the transfer from `address` on.
[[nodiscard]] std::string access_text(const World& world, const Transfer& transfer, std::uint64_t address,
                                      std::uint64_t length);

/// A draft with the access, its command, and the title's beginning.
[[nodiscard]] Draft access_draft(const World& world, const Transfer& transfer, std::uint64_t address,
                                 std::uint64_t length);

}  // namespace pv::checks
