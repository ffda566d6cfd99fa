// iommu-fault: the IOMMU refuses nothing that a device asks for.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

/// VT-d 4.0, 7.1.3: fault reasons of legacy mode.
std::string_view vtd_reason(std::uint64_t reason) {
    switch (reason) {
        case 0x1:
            return "its bus has no root entry";
        case 0x2:
            return "it has no context entry";
        case 0x3:
            return "its context entry is not valid";
        case 0x4:
            return "the address is beyond what its tables cover";
        case 0x5:
            return "nothing there may be written by it";
        case 0x6:
            return "nothing there may be read by it";
        case 0x7:
            return "a table could not be read";
        case 0x8:
        case 0x9:
            return "the root or context table could not be read";
        case 0xa:
        case 0xb:
        case 0xc:
            return "a reserved bit is set in a table";
        case 0xd:
            return "translated requests are not allowed to it";
        case 0x20:
        case 0x21:
        case 0x22:
        case 0x23:
        case 0x24:
        case 0x25:
        case 0x26:
            return "an interrupt that it may not raise";
        default:
            return "a reason not known here";
    }
}

/// VIRTIO 1.2, 5.13.6.9: VIRTIO_IOMMU_FAULT_R_*.
std::string_view virtio_reason(std::uint64_t reason) {
    constexpr std::array<std::string_view, 3> words = {"no reason given", "it is attached to no domain",
                                                       "nothing is mapped for it there"};
    return reason < words.size() ? words[reason] : "a reason not known here";
}

class IommuFault final : public Rule {
  public:
    using Rule::Rule;

    void on_event(const trace::Event& event) override {
        switch (event.kind) {
            case Kind::iommu_translation:
            case Kind::viommu_translation:
                ++translations_;
                break;
            case Kind::iommu_fault:
                add(event, static_cast<Bdf>(trace::get<Kind::iommu_fault, "bdf">(event)),
                    trace::get<Kind::iommu_fault, "iova">(event),
                    trace::get<Kind::iommu_fault, "write">(event) != 0,
                    trace::get<Kind::iommu_fault, "reason">(event),
                    vtd_reason(trace::get<Kind::iommu_fault, "reason">(event)));
                break;
            case Kind::viommu_fault: {
                constexpr std::uint64_t write = 2;  // VIRTIO_IOMMU_FAULT_F_WRITE
                add(event, static_cast<Bdf>(trace::get<Kind::viommu_fault, "endpoint">(event)),
                    trace::get<Kind::viommu_fault, "iova">(event),
                    (trace::get<Kind::viommu_fault, "flags">(event) & write) != 0,
                    trace::get<Kind::viommu_fault, "reason">(event),
                    virtio_reason(trace::get<Kind::viommu_fault, "reason">(event)));
                break;
            }
            default:
                break;
        }
    }

    [[nodiscard]] Observed observed() const override {
        if (translations_ == 0 && faults_ == 0) {
            return {0, "no IOMMU translated anything (give the guest one: --iommu intel)", true};
        }
        return {translations_ + faults_, {}};
    }

  private:
    void add(const trace::Event& event, Bdf bdf, std::uint64_t address, bool write, std::uint64_t reason,
             std::string_view words) {
        ++faults_;
        Draft draft;
        draft.at = place_of(event);
        draft.bdf = bdf;
        draft.address = address;
        draft.title = fmt::format("{}: the IOMMU refused a {} at bus address {:#x}: {}",
                                  world().devices().name(bdf), write ? "write" : "read", address, words);
        draft.lines.push_back(fmt::format("device: {}", world().devices().long_name(bdf)));
        draft.lines.push_back(fmt::format("refused: reason {:#x}, {}", reason, where(world(), draft.at)));
        draft.events.push_back({event.sequence, "refused"});
        // A transfer is refused piece by piece, page by page.
        constexpr std::int64_t one_transfer = 10'000;
        draft.part_of = fmt::format("{}/{}/{}", bdf, reason, draft.at.time / one_transfer);
        draft.cause = fmt::format("{}/{}/{}", bdf, reason, write);
        report(std::move(draft));
    }

    std::uint64_t translations_ = 0;
    std::uint64_t faults_ = 0;
};

}  // namespace

RuleInfo iommu_fault_rule() {
    return {.name = "iommu-fault",
            .summary = "The IOMMU refuses nothing that a device asks for",
            .severity = store::Severity::error,
            .evidence = "V",
            .unit = "translations",
            .needs_markers = false,
            .create = make_rule<IommuFault>};
}

}  // namespace pv::checks
