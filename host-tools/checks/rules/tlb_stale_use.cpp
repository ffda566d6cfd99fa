// tlb-stale-use: no access goes through a translation that the page tables no longer give.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/rules/rules.hpp"
#include "checks/rules/translation.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

class TlbStaleUse final : public BrokenByLine<Kind::tlb_stale_use> {
  public:
    using BrokenByLine::BrokenByLine;

    [[nodiscard]] Observed observed() const override {
        return observed_of(seen().changes, "no translation was taken away");
    }

  protected:
    void describe(const trace::Event& event, Draft& draft) const override {
        const std::uint64_t address = trace::get<Kind::tlb_stale_use, "address">(event);
        const std::uint64_t access = trace::get<Kind::tlb_stale_use, "access">(event);
        const bool observed = (access & trace::tlb_access_observed) != 0;
        draft.title = fmt::format("cpu {} {} {:#x} {} a translation that its page tables no longer give",
                                  event.cpu, (access & trace::tlb_access_write) != 0 ? "wrote" : "read",
                                  address, observed ? "through" : "and may do so through");
        draft.lines.push_back(fmt::format("{}: physical address {:#x}",
                                          observed ? "observed" : "allowed by the architecture: used here",
                                          trace::get<Kind::tlb_stale_use, "used">(event)));
        if ((access & trace::tlb_access_grace) != 0) {
            draft.lines.push_back(
                "judged by the grace time: no instruction of this cpu has forgotten it since");
        }
        draft.cause = fmt::format("{:x}", event.pc);
    }
};

}  // namespace

RuleInfo tlb_stale_use_rule() {
    return {.name = "tlb-stale-use",
            .summary = "No access goes through a translation that the page tables no longer give",
            .severity = store::Severity::error,
            .evidence = "P",
            .unit = "changes that took a translation away",
            .needs_markers = false,
            .create = make_rule<TlbStaleUse>};
}

}  // namespace pv::checks
