// dma-after-unmap: a device uses no memory whose mapping has ended (use after free by a device).
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <optional>

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
        if (coverage.uncovered_length != 0 && coverage.ended != nullptr && !was_given_up(world(), transfer)) {
            report(ended_draft(world(), transfer, coverage));
        }
    }

    void on_unmap(const Mapping& mapping) override {
        if (!world().guest().promises(PV_FEATURE_DMA)) {
            return;
        }
        const std::optional<StillUsed> used = still_used(world(), mapping, [this](const Transfer& transfer) {
            return !was_given_up(world(), transfer);  // cmd-late's
        });
        if (used) {
            Draft draft = still_used_draft(world(), mapping, *used);
            add_owner(world(), draft, mapping);
            report(std::move(draft));
        }
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
