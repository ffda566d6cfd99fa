// What a misbehaving kernel does to an NVMe controller; nothing in every other build.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "block/command_queue.hpp"
#include "device/mmio/misbehave.hpp"
#include "device/mmio/window.hpp"
#include "device/nvme/prp.hpp"
#include "device/nvme/regs.hpp"
#include "device/nvme/spec.hpp"
#include "misbehave/misbehave.hpp"
#include "misbehave/stray.hpp"

namespace pv::nvme {

/// dma-outside-mapping: the data lies elsewhere. dma-descriptor: the PRP list does (`list` is the right one).
inline void misbehave_with_pointers(SubmissionEntry& entry, const Prp& prp, std::size_t length,
                                    std::span<const std::byte> list) {
    using misbehave::Rule;
    if (misbehave::take(Rule::dma_outside_mapping)) {
        if (const auto stray = misbehave::stray(length); !stray.bytes.empty()) {
            entry.prp1 = stray.bus.value();
        }
    }
    if (prp.list_entries != 0 && misbehave::take(Rule::dma_descriptor)) {
        if (const auto stray = misbehave::stray(page_size); !stray.bytes.empty()) {
            std::ranges::copy(list, stray.bytes.begin());
            entry.prp2 = stray.bus.value();
        }
    }
}

/// dma-cpu-race-descriptor: the entry is written once more, as it was, when the controller may fetch it.
inline void misbehave_with_entry(std::span<std::byte> submission, std::size_t slot) {
    if (misbehave::take(misbehave::Rule::dma_cpu_race_descriptor)) {
        volatile std::byte& first = submission[slot * sizeof(SubmissionEntry)];
        first = std::byte{first};
    }
}

/// mmio-unmapped, mmio-width, mmio-order, mmio-doorbell, mmio-poll-unbounded.
inline void misbehave_with_registers(const mmio::Window& registers, const block::QueueIdentity& queue,
                                     mmio::Register<std::uint32_t, mmio::Access::write_only> tail,
                                     std::size_t entries) {
    using misbehave::Rule;
    if (misbehave::take(Rule::mmio_unmapped)) {
        constexpr mmio::Register<std::uint32_t> nothing{0x800};  // reserved, below the doorbells
        (void)registers.read(nothing);
    }
    if (misbehave::take(Rule::mmio_width)) {
        constexpr mmio::Register<std::uint16_t> half{Registers::status.offset};
        (void)registers.read(half);
    }
    if (misbehave::take(Rule::mmio_order)) {
        registers.write(Registers::admin_queue_sizes, registers.read(Registers::admin_queue_sizes));
    }
    if (misbehave::take(Rule::mmio_doorbell)) {
        const auto beyond = static_cast<std::uint32_t>(entries + 5);
        marker::doorbell(queue.device, marker::QueueKind::nvme_submission, queue.number, beyond);
        registers.write(tail, beyond);
    }
    if (misbehave::take(Rule::mmio_poll_unbounded)) {
        mmio::poll_for_ever(registers, Registers::status);
    }
}

}  // namespace pv::nvme
