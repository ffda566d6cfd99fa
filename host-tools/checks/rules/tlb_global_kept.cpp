// tlb-global-kept: global entries are invalidated by an instruction that reaches them.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/rules/rules.hpp"
#include "checks/rules/translation.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

class TlbGlobalKept final : public BrokenByLine<Kind::tlb_global_kept> {
  public:
    using BrokenByLine::BrokenByLine;

    [[nodiscard]] Observed observed() const override {
        return observed_of(seen().changes, "no translation was taken away");
    }

  protected:
    void describe(const trace::Event& event, Draft& draft) const override {
        const std::uint64_t address = trace::get<Kind::tlb_global_kept, "address">(event);
        draft.title = fmt::format("cpu {} wrote CR3 to forget {:#x}, which is a global page and stays cached",
                                  event.cpu, address);
        draft.lines.emplace_back(
            "reaches global pages: invlpg, a change of CR4.PGE, invpcid of type 2 (SDM vol. 3A, "
            "4.10.4.1)");
        draft.cause = fmt::format("{:x}", event.pc);
    }
};

}  // namespace

RuleInfo tlb_global_kept_rule() {
    return {.name = "tlb-global-kept",
            .summary = "Global entries are invalidated by an instruction that reaches them",
            .severity = store::Severity::error,
            .evidence = "P",
            .unit = "changes that took a translation away",
            .needs_markers = false,
            .create = make_rule<TlbGlobalKept>};
}

}  // namespace pv::checks
