// The limits a rule judges by where the guest states none, and the bounds of what an analysis remembers.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace pv::checks {

/// Nanoseconds: what is longer than a day is no deadline.
inline constexpr std::uint64_t longest_deadline = std::uint64_t{86'400} * 1'000'000'000;

/// Times in microseconds.
struct Limits {
    /// A command without a stated deadline is due after this long. Linux gives NVMe I/O 30 s, admin commands
    /// 60 s and virtio-blk none; its timer looks every few seconds.
    std::int64_t command_deadline = 75'000'000;
    /// A register read over and over without change, in no stated wait: NVMe's longest stated ready time
    /// (CAP.TO) on QEMU is 7.5 s, so a driver that keeps to it stays below.
    std::int64_t poll = 10'000'000;
    /// Reads of one register further apart than this are no loop.
    std::int64_t poll_gap = 100'000;
    /// The trace's clock is the host's, the guest's deadlines run on its own: what the host may hold a vCPU
    /// back is not the guest's fault.
    std::int64_t clock_tolerance = 250'000;
    /// A processor of which nothing is seen may have been held by the host for so long; what is longer, the
    /// guest slept through.
    std::int64_t silence = 3'000'000;
    /// Findings of one rule with the same cause that are kept; further ones are counted.
    std::size_t findings_kept = 3;
    /// Ended mappings remembered for a device (a later access is then dma-outside-mapping).
    std::size_t ended_mappings = 65'536;
    /// Devices whose mappings are told apart; a machine has fewer, a guest may name any number.
    std::size_t devices = 1'024;
    /// Open commands, transfers and mappings remembered in all: beyond it the oldest are dropped and the
    /// rules that needed them say so.
    std::size_t open_objects = 1'048'576;
};

}  // namespace pv::checks
