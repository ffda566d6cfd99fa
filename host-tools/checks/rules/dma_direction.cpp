// dma-direction: a device never writes a to-device mapping, nor reads a from-device one.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/model/world.hpp"
#include "checks/rules/access.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class DmaDirection final : public Rule {
  public:
    using Rule::Rule;

    void on_transfer(const Transfer& transfer) override {
        if (!is_judged(world(), transfer)) {
            return;
        }
        const Coverage coverage = coverage_of(world(), transfer);
        if (coverage.uncovered_length == 0) {
            ++transfers_;
        }
        if (coverage.wrong_direction == nullptr) {
            return;
        }
        const Mapping& mapping = *coverage.wrong_direction;
        Draft draft = access_draft(world(), transfer, coverage.wrong, coverage.wrong_length);
        draft.title += fmt::format(", which is mapped {}", mapping.direction == PV_DMA_TO_DEVICE
                                                               ? "for reading by the device only"
                                                           : mapping.direction == PV_DMA_FROM_DEVICE
                                                               ? "for writing by the device only"
                                                               : "with no valid direction");
        draft.lines.push_back(fmt::format("owner: {}", describe(mapping)));
        draft.lines.push_back(fmt::format("mapped: {}", where(world(), mapping.mapped)));
        draft.events.push_back({mapping.mapped.sequence, "mapped"});
        draft.cause = fmt::format("{}/{:x}/{}", mapping.bdf, mapping.mapped.pc, transfer.device_writes);
        report(std::move(draft));
    }

    [[nodiscard]] Observed observed() const override {
        if (transfers_ == 0) {
            const std::string why = missing(PV_FEATURE_DMA, "DMA mappings");
            return {0, why.empty() ? "no device used mapped memory after the guest's hello" : why};
        }
        return {transfers_, {}};
    }

  private:
    std::uint64_t transfers_ = 0;  ///< that lie in mappings
};

}  // namespace

RuleInfo dma_direction_rule() {
    return {.name = "dma-direction",
            .summary = "No device writes a to-device mapping or reads a from-device one",
            .severity = store::Severity::error,
            .evidence = "E M",
            .unit = "transfers",
            .needs_markers = true,
            .create = make_rule<DmaDirection>};
}

}  // namespace pv::checks
