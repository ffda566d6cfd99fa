// tlb-missed-shootdown: a shootdown that is said to be done reached every processor that may hold the
// translation.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/rules/rules.hpp"
#include "checks/rules/translation.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

class TlbMissedShootdown final : public BrokenByLine<Kind::tlb_missed> {
  public:
    using BrokenByLine::BrokenByLine;

    [[nodiscard]] Observed observed() const override {
        std::string why = seen().told ? std::string() : missing(PV_FEATURE_TRANSLATION, "shootdowns");
        return observed_of(seen().shootdowns + seen().told_shootdowns, "no shootdown ended", std::move(why));
    }

  protected:
    void describe(const trace::Event& event, Draft& draft) const override {
        const std::uint64_t address = trace::get<Kind::tlb_missed, "address">(event);
        const std::uint64_t holder = trace::get<Kind::tlb_missed, "holder">(event);
        const bool structure = trace::get<Kind::tlb_missed, "structure">(event) != 0;
        draft.title = fmt::format("the shootdown of {:#x} is over, and cpu {} may still {}", address, holder,
                                  structure ? "walk a table that was taken out" : "use the old translation");
        draft.lines.push_back(
            fmt::format("missed: cpu {} has executed nothing since the change that makes it forget", holder));
        add_use(draft, holder, trace::get<Kind::tlb_missed, "use">(event));
        draft.cause = fmt::format("{:x}/{}", event.pc, structure);
    }
};

}  // namespace

RuleInfo tlb_missed_shootdown_rule() {
    return {.name = "tlb-missed-shootdown",
            .summary = "A shootdown that is over reached every processor that may hold the translation",
            .severity = store::Severity::error,
            .evidence = "P M",
            .unit = "shootdowns",
            .needs_markers = true,
            .create = make_rule<TlbMissedShootdown>};
}

}  // namespace pv::checks
