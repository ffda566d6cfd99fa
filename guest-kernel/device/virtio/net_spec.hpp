// virtio-net on the wire: features, configuration, the header of each frame, control commands (VIRTIO 1.2,
// section 5.1).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/endian.hpp"
#include "device/mmio/register.hpp"

namespace pv::virtio {

/// Feature bits (5.1.3).
struct NetFeature {
    static constexpr std::uint64_t sum_on_send = 1ULL << 0;     ///< CSUM: the device fills in checksums
    static constexpr std::uint64_t sum_on_receive = 1ULL << 1;  ///< GUEST_CSUM: it may leave them out
    static constexpr std::uint64_t mtu = 1ULL << 3;
    static constexpr std::uint64_t mac = 1ULL << 5;
    static constexpr std::uint64_t mergeable_buffers = 1ULL << 15;
    static constexpr std::uint64_t status = 1ULL << 16;
    static constexpr std::uint64_t control_queue = 1ULL << 17;
    static constexpr std::uint64_t multi_queue = 1ULL << 22;
};

/// Device configuration (5.1.4). `mac` is six bytes from offset 0.
struct NetRegisters {
    template <class T>
    using ReadOnly = mmio::Register<T, mmio::Access::read_only>;

    static constexpr ReadOnly<std::uint16_t> status{0x06};
    static constexpr ReadOnly<std::uint16_t> most_pairs{0x08};
    static constexpr ReadOnly<std::uint16_t> mtu{0x0a};

    static constexpr std::size_t minimum_length = 0x08;
    static constexpr std::size_t full_length = 0x0c;
    static constexpr std::uint16_t status_link_up = 1;
};

/// Before each frame, in both directions (5.1.6).
struct NetHeader {
    static constexpr std::uint8_t flag_needs_sum = 1;    ///< from `sum_start` on, at `sum_offset` of that
    static constexpr std::uint8_t flag_sum_is_good = 2;  ///< the device checked it

    std::uint8_t flags;
    std::uint8_t segmentation;  ///< gso_type; 0: none
    le16 header_length;
    le16 segment_size;
    le16 sum_start;
    le16 sum_offset;
    le16 buffers;  ///< how many this frame fills, its own included
};

static_assert(sizeof(NetHeader) == 12);

/// Flags of the available and the used ring of a split queue (2.7.6, 2.7.8).
inline constexpr std::uint16_t ring_no_interrupt = 1;
inline constexpr std::uint16_t ring_no_notify = 1;

/// Control commands (5.1.6.5): this, then what the command takes, then one byte that the device answers.
struct NetControl {
    static constexpr std::uint8_t class_pairs = 4;
    static constexpr std::uint8_t pairs_set = 0;
    static constexpr std::uint8_t answer_good = 0;

    std::uint8_t command_class;
    std::uint8_t command;
};

static_assert(sizeof(NetControl) == 2);

}  // namespace pv::virtio
