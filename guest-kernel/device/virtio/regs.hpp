// Registers of the modern virtio PCI transport (VIRTIO 1.2, section 4.1.4) and of virtio-blk (5.2.4).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/mmio/register.hpp"

namespace pv::virtio {

/// Common configuration structure (4.1.4.3).
struct CommonRegisters {
    template <class T>
    using ReadOnly = mmio::Register<T, mmio::Access::read_only>;
    template <class T>
    using ReadWrite = mmio::Register<T, mmio::Access::read_write>;

    static constexpr ReadWrite<std::uint32_t> device_feature_select{0x00};
    static constexpr ReadOnly<std::uint32_t> device_feature{0x04};
    static constexpr ReadWrite<std::uint32_t> driver_feature_select{0x08};
    static constexpr ReadWrite<std::uint32_t> driver_feature{0x0c};
    static constexpr ReadWrite<std::uint16_t> config_vector{0x10};
    static constexpr ReadOnly<std::uint16_t> queue_count{0x12};
    static constexpr ReadWrite<std::uint8_t> device_status{0x14};
    static constexpr ReadOnly<std::uint8_t> config_generation{0x15};
    static constexpr ReadWrite<std::uint16_t> queue_select{0x16};
    static constexpr ReadWrite<std::uint16_t> queue_size{0x18};
    static constexpr ReadWrite<std::uint16_t> queue_vector{0x1a};
    static constexpr ReadWrite<std::uint16_t> queue_enable{0x1c};
    static constexpr ReadOnly<std::uint16_t> queue_notify_offset{0x1e};
    // 64-bit fields may be written as two halves (4.1.3.1), which every device must take.
    static constexpr ReadWrite<std::uint32_t> queue_descriptors_low{0x20};
    static constexpr ReadWrite<std::uint32_t> queue_descriptors_high{0x24};
    static constexpr ReadWrite<std::uint32_t> queue_driver_low{0x28};
    static constexpr ReadWrite<std::uint32_t> queue_driver_high{0x2c};
    static constexpr ReadWrite<std::uint32_t> queue_device_low{0x30};
    static constexpr ReadWrite<std::uint32_t> queue_device_high{0x34};

    static constexpr std::size_t minimum_length = 0x38;
    static constexpr std::uint16_t no_vector = 0xffff;  // also what a device answers that has none to give
};

/// Device configuration of virtio-blk (5.2.4); the fields a driver needs.
struct BlockRegisters {
    template <class T>
    using ReadOnly = mmio::Register<T, mmio::Access::read_only>;

    static constexpr ReadOnly<std::uint32_t> capacity_low{0x00};  // in 512-byte sectors
    static constexpr ReadOnly<std::uint32_t> capacity_high{0x04};
    static constexpr ReadOnly<std::uint32_t> size_max{0x08};    // bytes of one segment, VIRTIO_BLK_F_SIZE_MAX
    static constexpr ReadOnly<std::uint32_t> seg_max{0x0c};     // segments, VIRTIO_BLK_F_SEG_MAX
    static constexpr ReadOnly<std::uint32_t> block_size{0x14};  // VIRTIO_BLK_F_BLK_SIZE
    static constexpr ReadOnly<std::uint16_t> queue_count{0x22};      // VIRTIO_BLK_F_MQ
    static constexpr ReadOnly<std::uint32_t> discard_sectors{0x24};  // of one range, VIRTIO_BLK_F_DISCARD
    static constexpr ReadOnly<std::uint32_t> discard_ranges{0x28};   // of one request
    static constexpr ReadOnly<std::uint32_t> write_zeroes_sectors{0x30};  // VIRTIO_BLK_F_WRITE_ZEROES
    static constexpr ReadOnly<std::uint32_t> write_zeroes_ranges{0x34};

    static constexpr std::size_t minimum_length = 0x08;
    static constexpr std::size_t full_length = 0x18;
    static constexpr std::size_t queue_count_length = 0x24;
    static constexpr std::size_t ranges_length = 0x38;
};

}  // namespace pv::virtio
