// What all rules share: the registry, and how a finding is made.
// SPDX-License-Identifier: MIT
#include "checks/rule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rules/rules.hpp"

namespace pv::checks {

void Rule::report(Draft draft) {
    context_.findings.add(context_.info, std::move(draft));
}

std::string Rule::missing(std::uint64_t feature, std::string_view what) const {
    const Guest& guest = world().guest();
    if (guest.markers_refused()) {
        return "the guest's markers have a version that the plugin does not know";
    }
    if (!guest.has_markers() && guest.markers_early()) {
        return fmt::format("needs markers for {}; the guest's came without a hello and were ignored", what);
    }
    if (!guest.has_markers()) {
        return fmt::format("needs markers for {}; the guest has none", what);
    }
    if (!guest.promises(feature)) {
        return fmt::format("the guest has markers, but does not promise those for {}", what);
    }
    return {};
}

std::span<const RuleInfo> rules() {
    static const std::vector<RuleInfo> all = {
        dma_outside_mapping_rule(),
        dma_after_unmap_rule(),
        dma_direction_rule(),
        dma_descriptor_rule(),
        dma_leak_rule(),
        dma_double_map_rule(),
        dma_protected_rule(),
        dma_cpu_race_rule(),
        dma_unstable_data_rule(),
        mmio_unmapped_rule(),
        mmio_width_rule(),
        mmio_order_rule(),
        mmio_doorbell_rule(),
        mmio_poll_unbounded_rule(),
        cmd_deadline_rule(),
        cmd_lost_rule(),
        cmd_duplicate_rule(),
        cmd_late_rule(),
        cmd_recovery_rule(),
        flush_order_rule(),
        iommu_fault_rule(),
        iommu_stale_entry_rule(),
        tlb_stale_use_rule(),
        tlb_missed_shootdown_rule(),
        tlb_freed_while_cached_rule(),
        tlb_global_kept_rule(),
        tlb_overflush_rule(),
        pt_write_exec_rule(),
        pt_user_reaches_kernel_rule(),
        pt_reserved_bits_rule(),
        wait_unbounded_rule(),
    };
    return all;
}

const RuleInfo* find_rule(std::string_view name) {
    const auto all = rules();
    const auto found = std::ranges::find(all, name, &RuleInfo::name);
    return found == all.end() ? nullptr : &*found;
}

}  // namespace pv::checks
