// mmio-unmapped: each access hits a register that the device's map defines.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>

#include "checks/findings.hpp"
#include "checks/rules/register_rule.hpp"
#include "checks/rules/rules.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

struct Range {
    std::uint64_t begin;
    std::uint64_t end;
};

/// NVMe 2.0, section 3.1.3: what is defined below the doorbells (MSI-X is a region of its own).
constexpr std::array nvme_registers = {
    Range{0x00, 0x18},    // CAP, VS, INTMS, INTMC, CC
    Range{0x1c, 0x5c},    // CSTS, NSSR, AQA, ASQ, ACQ, CMBLOC, CMBSZ, BPINFO, BPRSEL, BPMBL, CMBMSC, CMBSTS
    Range{0x5c, 0x6c},    // CMBEBS, CMBSWTP, NSSD, CRTO
    Range{0xe00, 0xe1c},  // PMRCAP to PMRMSC
};

class MmioUnmapped final : public RegisterRule {
  public:
    using RegisterRule::RegisterRule;

  private:
    void other(const trace::Event& event) override {
        switch (event.kind) {
            case Kind::invalid_access:
                rejected(event);
                break;
            case Kind::iommu_fault:
            case Kind::viommu_fault:
                cut_off_ = true;
                break;
            case Kind::lifecycle:
                step(event);
                break;
            default:
                break;
        }
    }

    /// A fault plan takes a device away: no guest can know that before it has looked.
    void step(const trace::Event& event) {
        constexpr std::string_view pull = "pull ";
        const std::string detail = world().devices().text(trace::get<Kind::lifecycle, "detail_text">(event));
        if (world().devices().text(trace::get<Kind::lifecycle, "state_text">(event)) == "step" &&
            detail.starts_with(pull)) {
            pulled_.insert(detail.substr(pull.size(), detail.find(',') - pull.size()));
        }
    }

    /// Whether a device that was taken away had registers at `address`.
    [[nodiscard]] bool was_pulled(std::uint64_t address) const {
        const Bar* bar = world().devices().find(address);
        return bar != nullptr && pulled_.contains(world().devices().name(bar->bdf));
    }

    void used(const trace::Event& event, const RegisterUse& use) override {
        if (use.region == Region::virtio_legacy) {
            return;
        }
        count();
        const std::uint64_t offset = use.offset;
        const std::uint64_t size = std::clamp<std::uint64_t>(use.size, 1, 8);
        std::string why;
        if (use.region == Region::nvme) {
            const bool defined = offset >= nvme_register::doorbells ||
                                 std::ranges::any_of(nvme_registers, [&](const Range& range) {
                                     return offset >= range.begin && offset + size <= range.end;
                                 });
            if (!defined) {
                why = "where the controller defines no register";
            }
        } else if (use.region == Region::virtio_common) {
            if (use.structure + size > virtio_register::common_end) {
                why = "beyond the common configuration structure";
            }
        }
        if (!why.empty()) {
            add(event, use.bar, use.write, size, why);
        }
    }

    void rejected(const trace::Event& event) {
        const std::uint64_t region_text = trace::get<Kind::invalid_access, "region_text">(event);
        const std::string name = world().devices().text(region_text);
        const bool known = world().devices().region(region_text) != Region::other;
        const std::string reason =
            world().devices().text(trace::get<Kind::invalid_access, "reason_text">(event));
        if (refuses_width(reason) && known) {
            return;  // mmio-width's
        }
        // Firmware and kernels probe for what may not be there; a marked guest knows what it drives.
        if (!known && !world().guest().has_markers()) {
            return;
        }
        const bool nowhere = name.empty() || name == "(null)";
        // What the IOMMU refuses a device, QEMU tells as an access that goes nowhere, and not whose it was. A
        // device that was cut off goes on trying: from the first refusal on these are iommu-fault's.
        if (nowhere && cut_off_) {
            return;
        }
        if (nowhere && was_pulled(trace::get<Kind::invalid_access, "address">(event))) {
            return;
        }
        if (known) {
            count();
        }
        // The address counts from the region's start, and nothing says which device's region it is.
        add(event, nullptr, trace::get<Kind::invalid_access, "write">(event) != 0,
            trace::get<Kind::invalid_access, "size">(event),
            nowhere ? "where no device has registers"
                    : fmt::format("of region {}, which the device refused{}{}", name,
                                  reason.empty() ? "" : ": ", reason));
    }

    void add(const trace::Event& event, const Bar* bar, bool write, std::uint64_t size,
             const std::string& why) {
        Draft draft;
        draft.at = place_of(event);
        draft.address = event.args[0];
        draft.length = size;
        draft.bdf = bar == nullptr ? no_device : bar->bdf;
        const std::string place = bar == nullptr ? fmt::format("{:#x}", event.args[0])
                                                 : fmt::format("{:#x} ({}, BAR {} + {:#x})", event.args[0],
                                                               world().devices().name(bar->bdf), bar->number,
                                                               event.args[0] - bar->address);
        draft.title =
            fmt::format("{} of {} at {}, {}", write ? "write" : "read", counted(size, "bytes"), place, why);
        draft.lines.push_back(fmt::format("access: {}", where(world(), draft.at)));
        if (bar != nullptr) {
            draft.lines.push_back(fmt::format("device: {}, BAR {} is {:#x}..{:#x}",
                                              world().devices().long_name(bar->bdf), bar->number,
                                              bar->address, bar->address + (bar->size - 1)));
        }
        draft.events.push_back({event.sequence, "access"});
        // QEMU may report one access twice: as an access, and as one its device refused.
        draft.part_of = fmt::format("{:#x}/{}", event.args[0], event.time / 1000);
        draft.cause = fmt::format("{:#x}/{}", event.args[0], write);
        report(std::move(draft));
    }

    std::set<std::string> pulled_;  ///< names of devices
    bool cut_off_ = false;          ///< the IOMMU refused something
};

}  // namespace

RuleInfo mmio_unmapped_rule() {
    return {.name = "mmio-unmapped",
            .summary = "Each access hits a register that the device's map defines",
            .severity = store::Severity::error,
            .evidence = "E",
            .unit = "register accesses",
            .needs_markers = false,
            .create = make_rule<MmioUnmapped>};
}

}  // namespace pv::checks
