// Where the registers of NVMe controllers and virtio devices are.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::checks {

/// NVMe 2.0, section 3.1.3: offsets of controller properties. A property that ends where `_end` is begins
/// right before it.
namespace nvme_register {
inline constexpr std::uint64_t cc = 0x14;
inline constexpr std::uint64_t csts = 0x1c;
inline constexpr std::uint64_t aqa = 0x24;
inline constexpr std::uint64_t acq_end = 0x38;
inline constexpr std::uint64_t doorbells = 0x1000;
}  // namespace nvme_register

/// VIRTIO 1.2, section 4.1.4.3: offsets in the common configuration structure.
namespace virtio_register {
inline constexpr std::uint64_t driver_feature_select = 0x08;
inline constexpr std::uint64_t driver_feature = 0x0c;
inline constexpr std::uint64_t device_status = 0x14;
inline constexpr std::uint64_t queue_select = 0x16;
inline constexpr std::uint64_t queue_size = 0x18;
inline constexpr std::uint64_t queue_enable = 0x1c;
inline constexpr std::uint64_t queue_desc = 0x20;
inline constexpr std::uint64_t queue_device_end = 0x38;
inline constexpr std::uint64_t common_end = 0x40;  ///< with what 1.3 added
}  // namespace virtio_register

}  // namespace pv::checks
