// dma-leak: every mapping ends before the guest powers off.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <map>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class DmaLeak final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        // The moment of goodbye decides: the machine powers off next.
        if (event.kind == trace::Kind::marker_goodbye && world().guest().promises(PV_FEATURE_DMA)) {
            judge(place_of(event));
        }
    }

    [[nodiscard]] Observed observed() const override {
        std::string why = missing(PV_FEATURE_DMA, "DMA mappings");
        if (!why.empty()) {
            return {0, why};
        }
        if (!judged_) {
            return {0, "the guest did not say goodbye, so nothing says that a mapping should have ended"};
        }
        if (world().mappings().total() == 0) {
            return {0, "the guest mapped nothing"};
        }
        std::string note;
        if (quarantined_ != 0) {
            note = fmt::format("{} still in quarantine at goodbye", counted(quarantined_, "mappings"));
        }
        return {world().mappings().total(), note};
    }

  private:
    struct Leak {
        MappingPointer first;
        std::uint64_t count = 0;
        std::uint64_t bytes = 0;
        std::vector<store::FindingEvent> events;
    };

    void judge(const Place& goodbye) {
        constexpr std::size_t most_events = 8;
        judged_ = true;
        // One finding for each place that gave memory out and each device.
        std::map<std::pair<Bdf, std::uint64_t>, Leak> leaks;
        for (const MappingPointer& mapping : world().mappings().live(world().mappings().live_count())) {
            if (mapping->quarantined) {
                ++quarantined_;  // given up on openly, and never reused: not lost track of
                continue;
            }
            Leak& leak = leaks[{mapping->bdf, mapping->mapped.pc}];
            leak.first = leak.first == nullptr ? mapping : leak.first;
            ++leak.count;
            leak.bytes += mapping->length;
            if (leak.events.size() < most_events) {
                leak.events.push_back({mapping->mapped.sequence, "mapped"});
            }
        }
        for (auto& [key, leak] : leaks) {
            const Mapping& first = *leak.first;
            Draft draft;
            draft.at = goodbye;
            draft.bdf = first.bdf;
            draft.address = first.bus;
            draft.length = first.length;
            draft.title =
                fmt::format("{} of {} ({}) not unmapped at power-off, first {} at bus address {:#x}",
                            counted(leak.count, "mappings"), world().devices().name(first.bdf),
                            counted(leak.bytes, "bytes"), counted(first.length, "bytes"), first.bus);
            draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(first.bdf)));
            draft.lines.push_back(fmt::format("owner: {}", describe(first)));
            draft.lines.push_back(fmt::format("mapped: {}", where(world(), first.mapped)));
            draft.lines.push_back(fmt::format("goodbye: {}", where(world(), goodbye)));
            draft.events = std::move(leak.events);
            draft.events.push_back({goodbye.sequence, "goodbye"});
            draft.cause = fmt::format("{}/{:x}", key.first, key.second);
            report(std::move(draft));
        }
    }

    bool judged_ = false;
    std::uint64_t quarantined_ = 0;
};

}  // namespace

RuleInfo dma_leak_rule() {
    return {.name = "dma-leak",
            .summary = "Every mapping ends before the guest powers off",
            .severity = store::Severity::error,
            .evidence = "M",
            .unit = "mappings",
            .needs_markers = true,
            .create = make_rule<DmaLeak>};
}

}  // namespace pv::checks
