// Whose mapping covers an access.
// SPDX-License-Identifier: MIT
#include "checks/rules/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "checks/model/world.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

/// VIRTIO 1.2, section 6: VIRTIO_F_ACCESS_PLATFORM. Without it Linux gives a device physical addresses, and
/// makes no DMA call (drivers/virtio/virtio_ring.c, vring_use_dma_api).
constexpr std::uint64_t access_platform = std::uint64_t{1} << 33;

/// One past the last byte; ranges that would wrap end at the last address.
std::uint64_t end_of(std::uint64_t address, std::uint64_t length) {
    const std::uint64_t end = address + length;
    return end < address ? std::numeric_limits<std::uint64_t>::max() : end;
}

}  // namespace

bool was_given_up(const World& world, const Transfer& transfer) {
    const Command* command = world.ledger().find(transfer.command);
    return command != nullptr && (command->timed_out || command->failed) && !command->acknowledged;
}

bool is_judged(const World& world, const Transfer& transfer) {
    return world.guest().promises(PV_FEATURE_DMA) && transfer.at.sequence > world.guest().hello().sequence &&
           !has_no_mappings(world, transfer.bdf);
}

bool has_no_mappings(const World& world, Bdf bdf) {
    if (!world.guest().is_profiled()) {
        return false;
    }
    const VirtioDevice* device = world.virtio().find(bdf);
    return bdf == no_device || (device != nullptr && (device->features & access_platform) == 0);
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

Draft command_draft(const World& world, const Command& command) {
    Draft draft;
    draft.at = command.begun();
    draft.bdf = command.bdf;
    draft.lines.push_back(fmt::format("device: {}", world.devices().long_name(command.bdf)));
    draft.lines.push_back(fmt::format("submitted: {}", where(world, command.begun())));
    draft.events.push_back({command.begun().sequence, "submitted"});
    if (command.taken && command.submitted) {
        draft.events.push_back({command.taken.sequence, "taken"});
    }
    return draft;
}

void add_owner(const World& world, Draft& draft, const Mapping& ended) {
    draft.lines.push_back(fmt::format("owner: {}", describe(ended)));
    draft.lines.push_back(fmt::format("mapped: {}", where(world, ended.mapped)));
    draft.lines.push_back(fmt::format("unmapped: {}", where(world, ended.unmapped)));
    draft.events.push_back({ended.mapped.sequence, "mapped"});
    draft.events.push_back({ended.unmapped.sequence, "unmapped"});
    draft.cause = fmt::format("{}/{:x}", ended.bdf, ended.unmapped.pc);
}

Draft ended_draft(const World& world, const Transfer& transfer, const Coverage& coverage) {
    const Mapping& ended = *coverage.ended;
    Draft draft = access_draft(world, transfer, coverage.uncovered, coverage.uncovered_length);
    const std::int64_t since = transfer.at.time - ended.unmapped.time;
    draft.title += since >= 0 ? fmt::format(", {} after it was unmapped", duration(since))
                              : std::string(", which was unmapped meanwhile");
    add_owner(world, draft, ended);
    return draft;
}

std::optional<StillUsed> still_used(const World& world, const Mapping& mapping,
                                    const std::function<bool(const Transfer&)>& counts) {
    std::optional<StillUsed> used;
    world.ledger().in_flight(mapping.bdf, mapping.bus, mapping.length, [&](const Transfer& transfer) {
        if (transfer.doubtful || !is_judged(world, transfer) || !counts(transfer) ||
            world.mappings().covered_without(mapping.bdf, transfer.address, transfer.length, nullptr)) {
            return true;
        }
        const std::uint64_t begin = std::max(transfer.address, mapping.bus);
        const std::uint64_t end =
            std::min(end_of(transfer.address, transfer.length), end_of(mapping.bus, mapping.length));
        if (!used) {
            used = StillUsed{transfer, begin, end};
        }
        used->begin = std::min(used->begin, begin);
        used->end = std::max(used->end, end);
        return true;
    });
    return used;
}

Draft still_used_draft(const World& world, const Mapping& mapping, const StillUsed& used) {
    Draft draft = access_draft(world, used.first, used.begin, used.end - used.begin);
    draft.at = mapping.unmapped;
    draft.title = fmt::format("{} was still to {} {} at bus address {:#x} when it was unmapped",
                              world.devices().name(mapping.bdf), used.first.device_writes ? "write" : "read",
                              counted(used.end - used.begin, "bytes"), used.begin);
    if (const Command* command = world.ledger().find(used.first.command)) {
        draft.title += fmt::format(" ({} outstanding)", describe(*command));
    }
    return draft;
}

}  // namespace pv::checks
