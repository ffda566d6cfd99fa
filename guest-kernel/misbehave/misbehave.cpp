// Rules broken on purpose, to prove that the host's checks see it.
// SPDX-License-Identifier: MIT
#include "misbehave/misbehave.hpp"

#include <algorithm>
#include <array>

#include "base/atomic.hpp"

namespace pv::misbehave {
namespace {

struct Name {
    std::string_view name;
    Rule rule;
};

constexpr std::array names = {
    Name{"dma-outside-mapping", Rule::dma_outside_mapping},
    Name{"dma-after-unmap", Rule::dma_after_unmap},
    Name{"dma-direction", Rule::dma_direction},
    Name{"dma-leak", Rule::dma_leak},
    Name{"dma-double-map", Rule::dma_double_map},
    Name{"dma-cpu-race", Rule::dma_cpu_race},
    Name{"dma-cpu-race-write", Rule::dma_cpu_race_write},
    Name{"dma-cpu-race-descriptor", Rule::dma_cpu_race_descriptor},
    Name{"dma-cpu-race-abort", Rule::dma_cpu_race_abort},
    Name{"dma-protected", Rule::dma_protected},
    Name{"dma-descriptor", Rule::dma_descriptor},
    Name{"mmio-unmapped", Rule::mmio_unmapped},
    Name{"mmio-width", Rule::mmio_width},
    Name{"mmio-order", Rule::mmio_order},
    Name{"mmio-doorbell", Rule::mmio_doorbell},
    Name{"mmio-poll-unbounded", Rule::mmio_poll_unbounded},
    Name{"cmd-deadline", Rule::cmd_deadline},
    Name{"cmd-lost", Rule::cmd_lost},
    Name{"cmd-duplicate", Rule::cmd_duplicate},
    Name{"cmd-late", Rule::cmd_late},
    Name{"cmd-recovery", Rule::cmd_recovery},
    Name{"flush-order", Rule::flush_order},
    Name{"tlb-missed-shootdown", Rule::tlb_missed_shootdown},
    Name{"tlb-missed-shootdown-early", Rule::tlb_missed_shootdown_early},
    Name{"tlb-global-kept", Rule::tlb_global_kept},
    Name{"tlb-stale-use", Rule::tlb_stale_use},
    Name{"tlb-stale-use-early", Rule::tlb_stale_use_early},
    Name{"tlb-stale-use-write", Rule::tlb_stale_use_write},
    Name{"tlb-freed-while-cached", Rule::tlb_freed_while_cached},
    Name{"pt-write-exec", Rule::pt_write_exec},
    Name{"pt-write-exec-alias", Rule::pt_write_exec_alias},
    Name{"pt-user-reaches-kernel", Rule::pt_user_reaches_kernel},
    Name{"wait-unbounded", Rule::wait_unbounded},
};

}  // namespace

std::optional<Rule> parse_rule(std::string_view name) {
    const auto* found = std::ranges::find(names, name, &Name::name);
    return found == names.end() ? std::nullopt : std::optional{found->rule};
}

#if PV_MISBEHAVE
namespace {

constinit Atomic<Rule> armed{Rule::none};

}  // namespace

bool take(Rule rule) {
    Rule expected = rule;
    return armed.compare_exchange_strong(expected, Rule::none, std::memory_order_acq_rel);
}

bool arm(Rule rule) {
    return armed.exchange(rule, std::memory_order_acq_rel) == Rule::none;
}
#endif

}  // namespace pv::misbehave
