// dma-double-map: no double unmap, no id used twice, no bytes writable by two devices at once.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

class DmaDoubleMap final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        if (event.kind == trace::Kind::marker_dma_map || event.kind == trace::Kind::marker_dma_unmap) {
            ++changes_;
            if (world().change().problem != MappingProblem::none) {
                judge(event, world().change());
            }
        }
    }

    void on_map(const Mapping& mapping) override {
        if (!mapping.allows(true)) {
            return;
        }
        const MappingPointer other = world().mappings().shared_writable(mapping);
        if (other == nullptr) {
            return;
        }
        Draft draft;
        draft.at = mapping.mapped;
        draft.bdf = mapping.bdf;
        draft.address = std::max(mapping.physical, other->physical);
        draft.length =
            std::min(mapping.physical + mapping.length, other->physical + other->length) - *draft.address;
        draft.title =
            fmt::format("{} at physical address {:#x} mapped for writing by {} while {} may write them",
                        counted(*draft.length, "bytes"), *draft.address, world().devices().name(mapping.bdf),
                        world().devices().name(other->bdf));
        draft.lines.push_back(
            fmt::format("mapped: {}, {}", describe(mapping), where(world(), mapping.mapped)));
        draft.lines.push_back(fmt::format("owner: {}, {}, {}", world().devices().long_name(other->bdf),
                                          describe(*other), where(world(), other->mapped)));
        draft.events = {{mapping.mapped.sequence, "mapped"}, {other->mapped.sequence, "mapped"}};
        draft.cause = fmt::format("shared/{}/{:x}", mapping.bdf, mapping.mapped.pc);
        report(std::move(draft));
    }

    [[nodiscard]] Observed observed() const override {
        const std::string why = missing(PV_FEATURE_DMA, "DMA mappings");
        if (!why.empty() || changes_ == 0) {
            return {0, why.empty() ? "the guest mapped nothing" : why};
        }
        return {changes_, {}};
    }

  private:
    void judge(const trace::Event& event, const Mappings::Change& change) {
        const std::string device = world().devices().name(static_cast<Bdf>(event.args[0]));
        const std::string id =
            event.args[1] == 0 ? std::string("without an id") : fmt::format("{:#x}", event.args[1]);
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = static_cast<Bdf>(event.args[0]);
        draft.address = event.args[2];
        draft.events.push_back(
            {event.sequence, event.kind == trace::Kind::marker_dma_map ? "mapped" : "unmapped"});
        switch (change.problem) {
            case MappingProblem::id_in_use:
                draft.title = fmt::format("mapping {} of {} made while that id is in use", id, device);
                break;
            case MappingProblem::not_mapped:
                draft.title = fmt::format("unmap of mapping {} of {}, which does not exist", id, device);
                break;
            case MappingProblem::unmapped_twice:
                draft.title = fmt::format("mapping {} of {} unmapped again, {} after it ended", id, device,
                                          duration(event.time - change.mapping->unmapped.time));
                break;
            case MappingProblem::wrong_device:
                draft.title = fmt::format("mapping {} of {} unmapped for {}", id,
                                          world().devices().name(change.mapping->bdf), device);
                break;
            case MappingProblem::none:
                return;
        }
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(draft.bdf)));
        draft.lines.push_back(fmt::format("here: {}", where(world(), draft.at)));
        if (change.mapping != nullptr) {
            const Mapping& earlier = *change.mapping;
            draft.length = earlier.length;
            draft.lines.push_back(fmt::format("owner: {}", describe(earlier)));
            draft.lines.push_back(fmt::format("mapped: {}", where(world(), earlier.mapped)));
            draft.events.push_back({earlier.mapped.sequence, "mapped"});
            if (earlier.unmapped && earlier.unmapped.sequence != event.sequence) {
                draft.lines.push_back(fmt::format("unmapped: {}", where(world(), earlier.unmapped)));
                draft.events.push_back({earlier.unmapped.sequence, "unmapped"});
            }
        }
        draft.cause = fmt::format("{}/{}/{:x}", static_cast<int>(change.problem), draft.bdf, event.pc);
        report(std::move(draft));
    }

    std::uint64_t changes_ = 0;
};

}  // namespace

RuleInfo dma_double_map_rule() {
    return {.name = "dma-double-map",
            .summary = "No mapping ends twice, and no bytes are writable by two devices at once",
            .severity = store::Severity::error,
            .evidence = "M",
            .unit = "maps and unmaps",
            .needs_markers = true,
            .create = make_rule<DmaDoubleMap>};
}

}  // namespace pv::checks
