// Mistakes with page tables: each first done right, then wrong.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "misbehave/misbehave.hpp"

namespace pv::misbehave {

/// Whether break_tables() has an occasion for it.
[[nodiscard]] constexpr bool concerns_tables(Rule rule) {
    switch (rule) {
        case Rule::tlb_stale_use:
        case Rule::tlb_stale_use_early:
        case Rule::tlb_stale_use_write:
        case Rule::tlb_freed_while_cached:
        case Rule::pt_write_exec:
        case Rule::pt_write_exec_alias:
        case Rule::pt_user_reaches_kernel:
            return true;
        default:
            return false;
    }
}

/// Gives the kernel the occasion for `rule` twice: when it is not armed, and armed. What is left of it is as
/// before. Takes four seconds at most. Threads only. Only where `built_in`. Errors: out_of_memory, timed_out.
Result<> break_tables(Rule rule);

}  // namespace pv::misbehave
