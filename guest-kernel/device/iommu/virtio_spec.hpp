// virtio-iommu: its configuration, requests and fault reports (VIRTIO 1.2, section 5.13).
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.hpp"
#include "device/mmio/register.hpp"

namespace pv::iommu::virtio_spec {

inline constexpr std::uint16_t device_type = 23;
inline constexpr std::uint16_t request_queue = 0;
inline constexpr std::uint16_t event_queue = 1;

/// 5.13.3
struct Feature {
    static constexpr std::uint64_t input_range = 1U << 0;
    static constexpr std::uint64_t domain_range = 1U << 1;
    static constexpr std::uint64_t map_unmap = 1U << 2;
    static constexpr std::uint64_t probe = 1U << 4;
    static constexpr std::uint64_t bypass_config = 1U << 6;
};

/// 5.13.4, in 32-bit halves.
struct Configuration {
    template <class T>
    using ReadOnly = mmio::Register<T, mmio::Access::read_only>;

    static constexpr ReadOnly<std::uint32_t> page_sizes_low{0};
    static constexpr ReadOnly<std::uint32_t> input_first_low{8};
    static constexpr ReadOnly<std::uint32_t> input_first_high{12};
    static constexpr ReadOnly<std::uint32_t> input_last_low{16};
    static constexpr ReadOnly<std::uint32_t> input_last_high{20};
    static constexpr ReadOnly<std::uint32_t> domain_first{24};
    static constexpr ReadOnly<std::uint32_t> domain_last{28};
    static constexpr ReadOnly<std::uint32_t> probe_size{32};
    /// Whether endpoints without a domain reach everything.
    static constexpr mmio::Register<std::uint8_t> bypass{36};
    static constexpr std::size_t length = 40;
};

enum class RequestType : std::uint8_t { attach = 1, detach = 2, map = 3, unmap = 4, probe = 5 };

/// 5.13.6
struct RequestHead {
    std::uint8_t type;
    std::array<std::uint8_t, 3> reserved;
};

struct RequestTail {
    std::uint8_t status;
    std::array<std::uint8_t, 3> reserved;
};

static_assert(sizeof(RequestHead) == 4 && sizeof(RequestTail) == 4);
inline constexpr std::uint8_t status_ok = 0;
/// What is in the tail before the device answers: none of its values.
inline constexpr std::uint8_t status_none = 0xff;

/// Attach and detach, without the tail.
struct Attach {
    RequestHead head;
    le32 domain;
    le32 endpoint;
    le32 flags;
    le32 reserved;
};

static_assert(sizeof(Attach) == 20);

inline constexpr std::uint32_t map_read = 1;
inline constexpr std::uint32_t map_write = 2;

/// Ends are inclusive.
struct Map {
    RequestHead head;
    le32 domain;
    le64 first;
    le64 last;
    le64 physical;
    le32 flags;
};

static_assert(sizeof(Map) == 36);

struct Unmap {
    RequestHead head;
    le32 domain;
    le64 first;
    le64 last;
    le32 reserved;
};

static_assert(sizeof(Unmap) == 28);

struct Probe {
    RequestHead head;
    le32 endpoint;
    std::array<std::uint8_t, 64> reserved;
};

static_assert(sizeof(Probe) == 72);

/// 5.13.6.7: what a probe answers is a list of these.
struct Property {
    le16 type;    ///< bits 11..0
    le16 length;  ///< of what follows
};

static_assert(sizeof(Property) == 4);
inline constexpr std::uint16_t property_type_mask = 0xfff;
inline constexpr std::uint16_t property_none = 0;
inline constexpr std::uint16_t property_reserved_memory = 1;

struct ReservedMemory {
    Property property;
    std::uint8_t subtype;
    std::array<std::uint8_t, 3> reserved;
    le64 first;
    le64 last;
};

static_assert(sizeof(ReservedMemory) == 24);

/// 5.13.6.9
struct FaultReport {
    std::uint8_t reason;
    std::array<std::uint8_t, 3> reserved;
    le32 flags;
    le32 endpoint;
    le32 reserved2;
    le64 address;
};

static_assert(sizeof(FaultReport) == 24);
inline constexpr std::uint32_t fault_read = 1U << 0;
inline constexpr std::uint32_t fault_write = 1U << 1;

}  // namespace pv::iommu::virtio_spec
