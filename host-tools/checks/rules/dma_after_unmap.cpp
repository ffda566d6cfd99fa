// dma-after-unmap: a device uses no memory whose mapping has ended (use after free by a device).
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/model/world.hpp"
#include "checks/rules/access.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class DmaAfterUnmap final : public Rule {
  public:
    using Rule::Rule;

    void on_transfer(const Transfer& transfer) override {
        if (!is_judged(world(), transfer)) {
            return;
        }
        ++transfers_;
        const Coverage coverage = coverage_of(world(), transfer);
        if (coverage.uncovered_length == 0 || coverage.ended == nullptr) {
            return;
        }
        const Mapping& ended = *coverage.ended;
        Draft draft = access_draft(world(), transfer, coverage.uncovered, coverage.uncovered_length);
        const std::int64_t since = transfer.at.time - ended.unmapped.time;
        draft.title += since >= 0 ? fmt::format(", {} after it was unmapped", duration(since))
                                  : std::string(", which was unmapped meanwhile");
        add_owner(draft, ended);
        report(std::move(draft));
    }

    void on_unmap(const Mapping& mapping) override {
        if (!world().guest().promises(PV_FEATURE_DMA)) {
            return;
        }
        // The device began before the unmap and is not done: it will use the memory, or is using it.
        std::optional<Transfer> first;
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        world().ledger().in_flight(mapping.bdf, mapping.bus, mapping.length, [&](const Transfer& transfer) {
            if (transfer.doubtful || !is_judged(world(), transfer) ||
                world().mappings().covered_without(mapping.bdf, transfer.address, transfer.length, nullptr)) {
                return true;
            }
            if (!first) {
                first = transfer;
                begin = transfer.address;
                end = transfer.address + transfer.length;
            }
            begin = std::min(begin, transfer.address);
            end = std::max(end, transfer.address + transfer.length);
            return true;
        });
        if (!first) {
            return;
        }
        begin = std::max(begin, mapping.bus);
        end = std::min(end, mapping.bus + mapping.length);
        Draft draft = access_draft(world(), *first, begin, end - begin);
        draft.at = mapping.unmapped;
        const Command* command = world().ledger().find(first->command);
        draft.title =
            fmt::format("{} was still to {} {} at bus address {:#x} when it was unmapped",
                        world().devices().name(mapping.bdf), first->device_writes ? "write" : "read",
                        counted(end - begin, "bytes"), begin);
        if (command != nullptr) {
            draft.title += fmt::format(" ({} outstanding)", describe(*command));
        }
        add_owner(draft, mapping);
        report(std::move(draft));
    }

    [[nodiscard]] Observed observed() const override {
        if (transfers_ == 0) {
            const std::string why = missing(PV_FEATURE_DMA, "DMA mappings");
            return {0, why.empty() ? "no device used memory after the guest's hello" : why};
        }
        std::string note;
        if (world().nvme().ambiguous() != 0) {
            note =
                fmt::format("{} could be of either of several NVMe controllers: their ends were not judged",
                            counted(world().nvme().ambiguous(), "commands"));
        }
        return {transfers_, note};
    }

  private:
    void add_owner(Draft& draft, const Mapping& mapping) {
        draft.lines.push_back(fmt::format("owner: {}", describe(mapping)));
        draft.lines.push_back(fmt::format("mapped: {}", where(world(), mapping.mapped)));
        draft.lines.push_back(fmt::format("unmapped: {}", where(world(), mapping.unmapped)));
        draft.events.push_back({mapping.mapped.sequence, "mapped"});
        draft.events.push_back({mapping.unmapped.sequence, "unmapped"});
        draft.cause = fmt::format("{}/{:x}", mapping.bdf, mapping.unmapped.pc);
    }

    std::uint64_t transfers_ = 0;
};

}  // namespace

RuleInfo dma_after_unmap_rule() {
    return {.name = "dma-after-unmap",
            .summary = "No device uses memory whose mapping has ended",
            .severity = store::Severity::error,
            .evidence = "E M",
            .unit = "transfers",
            .needs_markers = true,
            .create = make_rule<DmaAfterUnmap>};
}

}  // namespace pv::checks
