// virtio wire structures and numbers (Virtual I/O Device (VIRTIO) Version 1.2).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/endian.hpp"

namespace pv::virtio {

/// What a device is (5), of those there are drivers for. `none`: not a virtio device, or another type.
enum class DeviceType : std::uint16_t {
    none = 0,
    network = 1,
    block = 2,
    console = 3,
    entropy = 4,
    iommu = 23
};

/// PCI identity (4.1.2).
inline constexpr std::uint16_t pci_vendor = 0x1af4;
inline constexpr std::uint16_t pci_modern_base = 0x1040;

/// The type of a PCI function (4.1.2): modern devices are 0x1040 + type, transitional ones have ids of their
/// own.
[[nodiscard]] constexpr DeviceType device_type(std::uint16_t vendor, std::uint16_t device) {
    if (vendor != pci_vendor) {
        return DeviceType::none;
    }
    switch (device) {
        case 0x1000:
        case 0x1041:
            return DeviceType::network;
        case 0x1001:
        case 0x1042:
            return DeviceType::block;
        case 0x1003:
        case 0x1043:
            return DeviceType::console;
        case 0x1005:
        case 0x1044:
            return DeviceType::entropy;
        case 0x1057:
            return DeviceType::iommu;
        default:
            return DeviceType::none;
    }
}

/// Device status bits (2.1).
struct DeviceStatus {
    static constexpr std::uint8_t acknowledge = 1;
    static constexpr std::uint8_t driver = 2;
    static constexpr std::uint8_t driver_ok = 4;
    static constexpr std::uint8_t features_ok = 8;
    static constexpr std::uint8_t needs_reset = 64;
    static constexpr std::uint8_t failed = 128;
    static constexpr std::uint8_t gone = 0xff;  ///< what a function reads as that is not there any more
};

/// Feature bits (6 and 5.2.3).
struct Feature {
    static constexpr std::uint64_t blk_size_max = 1ULL << 1;
    static constexpr std::uint64_t blk_seg_max = 1ULL << 2;
    static constexpr std::uint64_t blk_read_only = 1ULL << 5;
    static constexpr std::uint64_t blk_block_size = 1ULL << 6;
    static constexpr std::uint64_t blk_flush = 1ULL << 9;
    static constexpr std::uint64_t blk_multi_queue = 1ULL << 12;
    static constexpr std::uint64_t blk_discard = 1ULL << 13;
    static constexpr std::uint64_t blk_write_zeroes = 1ULL << 14;
    static constexpr std::uint64_t indirect_descriptors = 1ULL << 28;
    static constexpr std::uint64_t event_index = 1ULL << 29;
    static constexpr std::uint64_t version_1 = 1ULL << 32;
    static constexpr std::uint64_t access_platform = 1ULL << 33;
    static constexpr std::uint64_t ring_packed = 1ULL << 34;
};

/// Vendor capability that says where a structure lies (4.1.4, struct virtio_pci_cap), by offset.
struct PciCapability {
    static constexpr std::size_t length = 2;              // cap_len, 8 bits
    static constexpr std::size_t type = 3;                // cfg_type, 8 bits
    static constexpr std::size_t bar = 4;                 // 8 bits
    static constexpr std::size_t offset = 8;              // 32 bits, into the BAR
    static constexpr std::size_t size = 12;               // 32 bits
    static constexpr std::size_t notify_multiplier = 16;  // 32 bits, only of the notification structure
    static constexpr std::uint8_t minimum_length = 16;
};

/// cfg_type (4.1.4).
enum class Structure : std::uint8_t { common = 1, notify = 2, interrupt_status = 3, device = 4, pci = 5 };

/// Descriptor of a split virtqueue (2.7.5).
struct Descriptor {
    static constexpr std::uint16_t flag_next = 1;
    static constexpr std::uint16_t flag_device_writes = 2;
    static constexpr std::uint16_t flag_indirect = 4;

    le64 address;
    le32 length;
    le16 flags;
    le16 next;
};

static_assert(sizeof(Descriptor) == 16);

/// Entry of the used ring (2.7.8).
struct UsedElement {
    le32 id;      ///< head of the chain that is done: the device's word
    le32 length;  ///< bytes written into its device-writable part: the device's word
};

static_assert(sizeof(UsedElement) == 8);

/// Both rings begin with flags and index (2.7.6, 2.7.8); the entries follow.
struct RingHeader {
    le16 flags;
    le16 index;
};

static_assert(sizeof(RingHeader) == 4);

/// Descriptor of a packed virtqueue (2.8.13).
struct PackedDescriptor {
    static constexpr std::uint16_t flag_available = 1 << 7;
    static constexpr std::uint16_t flag_used = 1 << 15;

    le64 address;
    le32 length;  ///< once used: bytes written, the device's word
    le16 id;      ///< of the buffer; once used: which one is done, the device's word
    le16 flags;   ///< those of Descriptor, and the two above
};

static_assert(sizeof(PackedDescriptor) == 16);

/// What either side of a packed virtqueue wants to be told of (2.8.14).
struct EventSuppression {
    static constexpr std::uint16_t enable = 0;
    static constexpr std::uint16_t disable = 1;
    static constexpr std::uint16_t at_descriptor = 2;  ///< with VIRTIO_F_EVENT_IDX only
    static constexpr std::uint16_t wrap = 1 << 15;

    le16 descriptor;  ///< its place in the ring, and the wrap counter in bit 15
    le16 flags;
};

static_assert(sizeof(EventSuppression) == 4);

/// virtio-blk: request types and status (5.2.6).
enum class BlockRequest : std::uint32_t { read = 0, write = 1, flush = 4, discard = 11, write_zeroes = 13 };
enum class BlockStatus : std::uint8_t { ok = 0, io_error = 1, unsupported = 2 };

/// Header of a virtio-blk request (5.2.6). Sectors are 512 bytes whatever the block size.
struct BlockHeader {
    le32 type;
    le32 reserved;
    le64 sector;
};

static_assert(sizeof(BlockHeader) == 16);

/// What a discard or a write-zeroes is about (5.2.6): the data the device reads.
struct BlockRange {
    le64 sector;
    le32 sectors;
    le32 flags;  ///< bit 0: may unmap (write zeroes only)
};

static_assert(sizeof(BlockRange) == 16);

inline constexpr std::size_t sector_size = 512;

}  // namespace pv::virtio
