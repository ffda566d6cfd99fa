// One function a rule: each is defined in the file of the rule's name.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string_view>

#include "checks/rule.hpp"

namespace pv::checks {

RuleInfo dma_outside_mapping_rule();
RuleInfo dma_after_unmap_rule();
RuleInfo dma_direction_rule();
RuleInfo dma_descriptor_rule();
RuleInfo dma_leak_rule();
RuleInfo dma_double_map_rule();
RuleInfo dma_protected_rule();
RuleInfo dma_cpu_race_rule();
RuleInfo dma_unstable_data_rule();
RuleInfo mmio_unmapped_rule();
RuleInfo mmio_width_rule();
RuleInfo mmio_order_rule();
RuleInfo mmio_doorbell_rule();
RuleInfo mmio_poll_unbounded_rule();
RuleInfo cmd_deadline_rule();
RuleInfo cmd_lost_rule();
RuleInfo cmd_duplicate_rule();
RuleInfo cmd_late_rule();
RuleInfo cmd_recovery_rule();
RuleInfo flush_order_rule();
RuleInfo iommu_fault_rule();
RuleInfo iommu_stale_entry_rule();
RuleInfo tlb_stale_use_rule();
RuleInfo tlb_missed_shootdown_rule();
RuleInfo tlb_freed_while_cached_rule();
RuleInfo tlb_global_kept_rule();
RuleInfo tlb_overflush_rule();
RuleInfo pt_write_exec_rule();
RuleInfo pt_user_reaches_kernel_rule();
RuleInfo pt_reserved_bits_rule();
RuleInfo wait_unbounded_rule();

/// True when QEMU refused an access for its width or alignment: mmio-width's, not mmio-unmapped's.
[[nodiscard]] bool refuses_width(std::string_view reason);

template <class T>
std::unique_ptr<Rule> make_rule(const RuleContext& context) {
    return std::make_unique<T>(context);
}

}  // namespace pv::checks
