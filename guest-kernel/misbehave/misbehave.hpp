// Rules broken on purpose, to prove that the host's checks see it. Only in paravane-kernel-misbehave.elf.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pv::misbehave {

/// One for each of the host's rules (docs/rules), or several. The comment says what the kernel then does,
/// once.
enum class Rule : std::uint8_t {
    none,
    dma_outside_mapping,         ///< names memory to the device that was never mapped
    dma_after_unmap,             ///< ends the mapping of a command's data before the device is done
    dma_direction,               ///< maps the buffer of a read as if the device only read it
    dma_leak,                    ///< never ends a mapping
    dma_double_map,              ///< ends a mapping twice
    dma_cpu_race,                ///< looks at the buffer of a read before the device has filled it
    dma_cpu_race_write,          ///< writes into a buffer that was given to the device
    dma_cpu_race_descriptor,     ///< writes a command's descriptor anew behind the doorbell
    dma_cpu_race_abort,          ///< uses a buffer again because the command's abort was asked for (NVMe)
    dma_protected,               ///< has a device write where it said that none may
    dma_descriptor,              ///< puts a PRP list, or an indirect table, where nothing is mapped
    mmio_unmapped,               ///< reads where the device has no register
    mmio_width,                  ///< reads a register with half, or twice, its width
    mmio_order,                  ///< writes a register in a state that forbids it
    mmio_doorbell,               ///< rings with a value, or for a queue, that cannot be
    mmio_poll_unbounded,         ///< goes on polling a register past the deadline it stated
    cmd_deadline,                ///< submits a command without a deadline
    cmd_lost,                    ///< forgets a command: never looks at its completion
    cmd_duplicate,               ///< hands an id to the device that is outstanding
    cmd_late,                    ///< gives a command up and unmaps its data before the device has it
    cmd_recovery,                ///< outstays the deadline of a recovery's step
    flush_order,                 ///< says that data is durable without having flushed it
    tlb_missed_shootdown,        ///< leaves one CPU out of a shootdown
    tlb_missed_shootdown_early,  ///< answers a shootdown before it has forgotten
    tlb_global_kept,             ///< answers a shootdown with a write to CR3, which keeps global entries
    tlb_stale_use,               ///< unmaps a page and does not forget it
    tlb_stale_use_early,         ///< forgets a page before it unmaps it
    tlb_stale_use_write,         ///< makes a page read-only and does not forget that it was not
    tlb_freed_while_cached,      ///< gives frames back before the processors have forgotten them
    pt_write_exec,               ///< maps data writable and executable
    pt_write_exec_alias,         ///< maps code a second time, writable
    pt_user_reaches_kernel,      ///< maps a program's own top table for it
    wait_unbounded,              ///< outstays the deadline of a wait
};

#if PV_MISBEHAVE
inline constexpr bool built_in = true;

/// True once after `arm(rule)`: the place that asks breaks the rule then. Any context.
[[nodiscard]] bool take(Rule rule);

/// Makes the next `take(rule)` answer true. `none` disarms. False when the one before was never taken.
bool arm(Rule rule);
#else
inline constexpr bool built_in = false;

[[nodiscard]] constexpr bool take(Rule) {
    return false;
}

constexpr bool arm(Rule) {
    return true;
}
#endif

/// The rule called `name` in kebab case, as on the command line.
[[nodiscard]] std::optional<Rule> parse_rule(std::string_view name);

}  // namespace pv::misbehave
