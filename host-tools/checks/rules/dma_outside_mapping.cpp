// dma-outside-mapping: every byte a device reads or writes lies in a mapping live for that device.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/model/world.hpp"
#include "checks/rules/access.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class DmaOutsideMapping final : public Rule {
  public:
    using Rule::Rule;

    void on_transfer(const Transfer& transfer) override {
        if (!is_judged(world(), transfer)) {
            return;
        }
        ++transfers_;
        const Coverage coverage = coverage_of(world(), transfer);
        if (coverage.uncovered_length == 0 || coverage.ended != nullptr) {
            return;  // what was mapped once is dma-after-unmap's
        }
        Draft draft = access_draft(world(), transfer, coverage.uncovered, coverage.uncovered_length);
        if (coverage.of_other != nullptr) {
            const Mapping& other = *coverage.of_other;
            draft.title += fmt::format(", which is mapped for {} only", world().devices().name(other.bdf));
            draft.lines.push_back(
                fmt::format("owner: {}, {}", world().devices().long_name(other.bdf), describe(other)));
            draft.lines.push_back(fmt::format("mapped: {}", where(world(), other.mapped)));
            draft.events.push_back({other.mapped.sequence, "mapped"});
        } else {
            draft.title += ", where it has no mapping";
        }
        draft.cause = fmt::format("{}/{}", transfer.bdf, transfer.device_writes);
        report(std::move(draft));
    }

    [[nodiscard]] Observed observed() const override {
        if (transfers_ == 0) {
            const std::string why = missing(PV_FEATURE_DMA, "DMA mappings");
            return {0, why.empty() ? "no device used memory after the guest's hello" : why};
        }
        std::string note;
        if (world().mappings().dropped() != 0) {
            note =
                fmt::format("{} were too many to follow", counted(world().mappings().dropped(), "mappings"));
        }
        return {transfers_, note};
    }

  private:
    std::uint64_t transfers_ = 0;
};

}  // namespace

RuleInfo dma_outside_mapping_rule() {
    return {.name = "dma-outside-mapping",
            .summary = "Every byte a device reads or writes lies in a mapping live for that device",
            .severity = store::Severity::error,
            .evidence = "E M",
            .unit = "transfers",
            .needs_markers = true,
            .create = make_rule<DmaOutsideMapping>};
}

}  // namespace pv::checks
