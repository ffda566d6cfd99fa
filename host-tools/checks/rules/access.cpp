// Whose mapping covers an access.
// SPDX-License-Identifier: MIT
#include "checks/rules/access.hpp"

#include <fmt/format.h>

#include "checks/model/world.hpp"
#include "checks/text.hpp"

namespace pv::checks {

bool is_judged(const World& world, const Transfer& transfer) {
    return world.guest().promises(PV_FEATURE_DMA) && transfer.at.sequence > world.guest().hello().sequence;
}

Coverage coverage_of(const World& world, const Transfer& transfer) {
    if (transfer.bdf == no_device) {
        return world.mappings().cover_any(transfer.address, transfer.length, transfer.device_writes,
                                          transfer.at.sequence);
    }
    return world.mappings().cover(transfer.bdf, transfer.address, transfer.length, transfer.device_writes,
                                  transfer.at.sequence);
}

std::string access_text(const World& world, const Transfer& transfer, std::uint64_t address,
                        std::uint64_t length) {
    return fmt::format("{} {} {} at bus address {:#x}", world.devices().name(transfer.bdf),
                       transfer.device_writes ? "wrote" : "read", counted(length, "bytes"), address);
}

Draft access_draft(const World& world, const Transfer& transfer, std::uint64_t address,
                   std::uint64_t length) {
    Draft draft;
    draft.at = transfer.at;
    draft.bdf = transfer.bdf;
    draft.address = address;
    draft.length = length;
    draft.title = access_text(world, transfer, address, length);
    const Command* command = world.ledger().find(transfer.command);
    draft.lines.push_back(fmt::format("access: {} {} {:#x}..{:#x}, {}",
                                      world.devices().long_name(transfer.bdf),
                                      transfer.device_writes ? "writes" : "reads", transfer.address,
                                      transfer.address + (transfer.length - 1), where(world, transfer.at)));
    draft.events.push_back({transfer.at.sequence, "access"});
    if (command != nullptr) {
        draft.lines.push_back(
            fmt::format("command: {}, {}", describe(*command), where(world, command->begun())));
        draft.events.push_back({command->begun().sequence, command->submitted ? "submitted" : "taken"});
        draft.part_of = fmt::format("{}", transfer.command);
    }
    return draft;
}

}  // namespace pv::checks
