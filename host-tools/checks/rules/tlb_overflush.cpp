// tlb-overflush: advice, where everything was forgotten for the sake of a few pages.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/rules/rules.hpp"
#include "checks/rules/translation.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

/// Fewer than this many are no advice worth giving.
constexpr std::uint64_t worth_telling = 1'000;

class TlbOverflush final : public TranslationRule {
  public:
    using TranslationRule::TranslationRule;

    [[nodiscard]] Observed observed() const override {
        return observed_of(flushes_, "no processor forgot anything on purpose");
    }

  protected:
    void judge(const trace::Event& event) override {
        if (event.kind != Kind::tlb_flushes) {
            return;
        }
        const std::uint64_t whole = trace::get<Kind::tlb_flushes, "whole">(event);
        const std::uint64_t needless = trace::get<Kind::tlb_flushes, "needless">(event);
        flushes_ += whole + trace::get<Kind::tlb_flushes, "pages">(event);
        if (needless < worth_telling || needless * 2 < whole) {
            return;
        }
        Draft draft;
        draft.at = place_of(event);
        draft.title = fmt::format("cpu {} forgot everything {} where a few pages would have done", event.cpu,
                                  counted(needless, "times"));
        draft.lines.push_back(fmt::format("of: {} that forgot everything, {} of one page",
                                          counted(whole, "flushes"),
                                          grouped(trace::get<Kind::tlb_flushes, "pages">(event))));
        draft.events.push_back({event.sequence, "counted"});
        draft.cause = fmt::format("{}", event.cpu);
        report(std::move(draft));
    }

  private:
    std::uint64_t flushes_ = 0;
};

}  // namespace

RuleInfo tlb_overflush_rule() {
    return {.name = "tlb-overflush",
            .summary = "Advice: everything is not forgotten where a few pages would do",
            .severity = store::Severity::advice,
            .evidence = "P",
            .unit = "flushes",
            .needs_markers = false,
            .create = make_rule<TlbOverflush>};
}

}  // namespace pv::checks
