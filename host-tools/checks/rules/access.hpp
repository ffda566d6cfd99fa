// What the rules about DMA accesses share: whose mapping covers an access, and how to tell of it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "checks/findings.hpp"
#include "checks/model/mappings.hpp"
#include "checks/model/types.hpp"

namespace pv::checks {

class World;

/// True when the rules about mappings have to judge `transfer`: the guest promises to mark its DMA, and had
/// said hello when the access began (the firmware's accesses come before).
[[nodiscard]] bool is_judged(const World& world, const Transfer& transfer);

/// True for a device of which a profile tells no mappings: its driver uses memory without the kernel's DMA
/// calls.
[[nodiscard]] bool has_no_mappings(const World& world, Bdf bdf);

/// How `transfer` stands with the mappings of its device; of any device, when its device is not known.
[[nodiscard]] Coverage coverage_of(const World& world, const Transfer& transfer);

/// "disk0 wrote 512 bytes at bus address 0x1f3000" for `length` bytes of the transfer from `address` on.
[[nodiscard]] std::string access_text(const World& world, const Transfer& transfer, std::uint64_t address,
                                      std::uint64_t length);

/// A draft with the access, its command, and the title's beginning.
[[nodiscard]] Draft access_draft(const World& world, const Transfer& transfer, std::uint64_t address,
                                 std::uint64_t length);

/// A draft about a command, where it began: its device, and what is known of its way there.
[[nodiscard]] Draft command_draft(const World& world, const Command& command);

/// True when the driver gave up on the command that `transfer` belongs to (its deadline passed, or its caller
/// was told that it failed), and the device has not ended it: what breaks then is cmd-late.
[[nodiscard]] bool was_given_up(const World& world, const Transfer& transfer);

/// Adds where memory whose mapping ended was mapped and unmapped.
void add_owner(const World& world, Draft& draft, const Mapping& ended);

/// A whole draft for an access to memory whose mapping has ended: `coverage.ended` is not null.
[[nodiscard]] Draft ended_draft(const World& world, const Transfer& transfer, const Coverage& coverage);

/// What a device still uses of a mapping that ends.
struct StillUsed {
    Transfer first;           ///< one of the accesses
    std::uint64_t begin = 0;  ///< bus addresses of the mapping's bytes that any of them uses
    std::uint64_t end = 0;
};

/// The accesses in flight in `mapping`, which just ended, that no live mapping covers and for which `counts`
/// holds.
[[nodiscard]] std::optional<StillUsed> still_used(const World& world, const Mapping& mapping,
                                                  const std::function<bool(const Transfer&)>& counts);

/// A draft with the access and its title; add_owner gives it its cause.
[[nodiscard]] Draft still_used_draft(const World& world, const Mapping& mapping, const StillUsed& used);

}  // namespace pv::checks
