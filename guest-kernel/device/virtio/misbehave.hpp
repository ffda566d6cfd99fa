// What a misbehaving kernel does to a virtio-blk device; nothing in every other build.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>

#include "device/mmio/misbehave.hpp"
#include "device/mmio/window.hpp"
#include "device/virtio/regs.hpp"
#include "device/virtio/request_ring.hpp"
#include "misbehave/misbehave.hpp"
#include "misbehave/stray.hpp"

namespace pv::virtio {

/// dma-outside-mapping: the data lies elsewhere.
inline void misbehave_with_data(RequestData& data) {
    if (data.length != 0 && misbehave::take(misbehave::Rule::dma_outside_mapping)) {
        if (const auto stray = misbehave::stray(data.length); !stray.bytes.empty()) {
            data.bus = stray.bus;
        }
    }
}

/// dma-descriptor: the chain's indirect table lies elsewhere (`tables` is the right place of all of them).
inline void misbehave_with_table(Descriptor& head, const Shared& tables) {
    if (head.flags == Descriptor::flag_indirect && misbehave::take(misbehave::Rule::dma_descriptor)) {
        if (const auto stray = misbehave::stray(head.length); !stray.bytes.empty()) {
            const std::size_t offset = head.address - tables.bus.value();
            std::ranges::copy(tables.bytes.subspan(offset, head.length), stray.bytes.begin());
            head.address = stray.bus.value();
        }
    }
}

/// dma-cpu-race-descriptor: a chain's head is written once more, as it was, when the device may have it.
inline void misbehave_with_head(Descriptor& head) {
    if (misbehave::take(misbehave::Rule::dma_cpu_race_descriptor)) {
        auto* const first = reinterpret_cast<volatile std::byte*>(&head);
        *first = std::byte{*first};
    }
}

/// mmio-unmapped, mmio-width, mmio-order, mmio-doorbell (of a queue that was never made),
/// mmio-poll-unbounded.
inline void misbehave_with_registers(const mmio::Window& common, const mmio::Window& notify,
                                     std::size_t multiplier) {
    using misbehave::Rule;
    constexpr mmio::Register<std::uint32_t> nothing{0x800};
    if (common.contains(nothing.offset, 4) && misbehave::take(Rule::mmio_unmapped)) {
        (void)common.read(nothing);
    }
    if (misbehave::take(Rule::mmio_width)) {
        constexpr mmio::Register<std::uint16_t> twice{CommonRegisters::device_status.offset};
        (void)common.read(twice);
    }
    if (misbehave::take(Rule::mmio_order)) {
        constexpr mmio::Register<std::uint32_t> driver_feature{0x0c};  // FEATURES_OK was said long ago
        common.write(driver_feature, common.read(driver_feature));
    }
    constexpr std::uint16_t no_queue = 7;
    const mmio::Register<std::uint16_t> doorbell{no_queue * multiplier};
    if (notify.contains(doorbell.offset, 2) && misbehave::take(Rule::mmio_doorbell)) {
        notify.write(doorbell, no_queue);
    }
    if (misbehave::take(Rule::mmio_poll_unbounded)) {
        mmio::poll_for_ever(common, CommonRegisters::device_status);
    }
}

}  // namespace pv::virtio
