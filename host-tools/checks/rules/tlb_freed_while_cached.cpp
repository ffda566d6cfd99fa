// tlb-freed-while-cached: a frame is not given back while a processor may still hold a translation to it.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/rules/rules.hpp"
#include "checks/rules/translation.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

class TlbFreedWhileCached final : public BrokenByLine<Kind::tlb_freed> {
  public:
    using BrokenByLine::BrokenByLine;

    [[nodiscard]] Observed observed() const override {
        std::string why = seen().told ? std::string() : missing(PV_FEATURE_TRANSLATION, "frames given back");
        return observed_of(released_ + seen().told_frames, "no frame was given back", std::move(why));
    }

  protected:
    void describe(const trace::Event& event, Draft& draft) const override {
        const std::uint64_t address = trace::get<Kind::tlb_freed, "address">(event);
        const std::uint64_t holder = trace::get<Kind::tlb_freed, "holder">(event);
        const std::uint64_t physical = trace::get<Kind::tlb_freed, "physical">(event);
        const bool structure = trace::get<Kind::tlb_freed, "structure">(event) != 0;
        draft.address = physical;
        draft.title =
            fmt::format("the {} at {:#x} is given back while cpu {} may still {} it",
                        structure ? "table" : "frame", physical, holder, structure ? "walk" : "reach");
        draft.lines.push_back(fmt::format("reached through: {:#x}", address));
        add_use(draft, holder, trace::get<Kind::tlb_freed, "use">(event));
        draft.cause = fmt::format("{:x}/{}", event.pc, structure);
    }

    void other(const trace::Event& event) override {
        if (event.kind == Kind::marker_frames_release || event.kind == Kind::marker_memory_unprotect) {
            ++released_;
        }
    }

  private:
    std::uint64_t released_ = 0;
};

}  // namespace

RuleInfo tlb_freed_while_cached_rule() {
    return {.name = "tlb-freed-while-cached",
            .summary = "No frame is given back while a processor may still hold a translation to it",
            .severity = store::Severity::error,
            .evidence = "P M",
            .unit = "frames given back",
            .needs_markers = true,
            .create = make_rule<TlbFreedWhileCached>};
}

}  // namespace pv::checks
