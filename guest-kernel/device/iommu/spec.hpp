// VT-d's structures in memory: tables, invalidation descriptors, interrupt entries, fault records.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

#include "base/address.hpp"
#include "base/endian.hpp"

/// Intel Virtualization Technology for Directed I/O, architecture specification 4.0 ("VT-d"), legacy mode.
namespace pv::iommu::spec {

/// 9.1: one for each bus.
struct RootEntry {
    le64 low;   ///< context table's address | present
    le64 high;  ///< reserved
};

static_assert(sizeof(RootEntry) == 16);
inline constexpr std::uint64_t root_present = 1;

/// 9.3: one for each function of a bus.
struct ContextEntry {
    le64 low;   ///< second-level table's address | translation type | fault processing disable | present
    le64 high;  ///< domain id << 8 | address width
};

static_assert(sizeof(ContextEntry) == 16);
inline constexpr std::uint64_t context_present = 1;
/// Requests of the function that are blocked are not recorded as faults.
inline constexpr std::uint64_t context_faults_not_processed = 2;
inline constexpr unsigned context_domain_shift = 8;
inline constexpr std::size_t functions_per_bus = 256;

/// 9.8: second-level paging entries, 512 to a table. A level's entry with neither bit is not present.
inline constexpr std::uint64_t page_read = 1;
inline constexpr std::uint64_t page_write = 2;
inline constexpr std::uint64_t page_address = 0x000f'ffff'ffff'f000;
inline constexpr std::size_t page_entries = 512;
inline constexpr unsigned bits_per_level = 9;

/// 6.5.2: one invalidation descriptor.
struct Descriptor {
    le64 low;
    le64 high;
};

static_assert(sizeof(Descriptor) == 16);

inline constexpr std::uint64_t granularity_global = 1U << 4;
inline constexpr std::uint64_t granularity_domain = 2U << 4;
inline constexpr std::uint64_t granularity_narrow = 3U << 4;  ///< a device's context, or pages
inline constexpr std::uint64_t drain_writes = 1U << 6;
inline constexpr std::uint64_t drain_reads = 1U << 7;
inline constexpr std::uint64_t interrupt_entry_by_index = 1U << 4;
inline constexpr std::uint64_t wait_writes_status = 1U << 5;

/// 6.5.2.1
constexpr Descriptor invalidate_contexts() {
    return {1 | granularity_global, 0};
}

constexpr Descriptor invalidate_context(std::uint16_t domain, std::uint16_t source) {
    return {1 | granularity_narrow | std::uint64_t{domain} << 16 | std::uint64_t{source} << 32, 0};
}

/// 6.5.2.3; draining waits for requests that used the old entries.
constexpr Descriptor invalidate_translations() {
    return {2 | granularity_global | drain_writes | drain_reads, 0};
}

constexpr Descriptor invalidate_translations(std::uint16_t domain) {
    return {2 | granularity_domain | drain_writes | drain_reads | std::uint64_t{domain} << 16, 0};
}

/// 2^order pages from `iova`, aligned to their size.
constexpr Descriptor invalidate_pages(std::uint16_t domain, std::uint64_t iova, unsigned order) {
    return {2 | granularity_narrow | drain_writes | drain_reads | std::uint64_t{domain} << 16, iova | order};
}

/// 6.5.2.7
constexpr Descriptor invalidate_interrupt_entries() {
    return {4, 0};
}

constexpr Descriptor invalidate_interrupt_entry(std::uint16_t index) {
    return {4 | interrupt_entry_by_index | std::uint64_t{index} << 32, 0};
}

/// 6.5.2.8: writes `value` to `status` when all before it is done.
constexpr Descriptor wait(PhysicalAddress status, std::uint32_t value) {
    return {5 | wait_writes_status | std::uint64_t{value} << 32, status.value()};
}

/// 9.10: interrupt remapping table entry, remapped interrupts.
struct InterruptEntry {
    le64 low;
    le64 high;
};

static_assert(sizeof(InterruptEntry) == 16);
inline constexpr std::uint64_t interrupt_present = 1;
inline constexpr unsigned interrupt_vector_shift = 16;
inline constexpr unsigned interrupt_destination_shift = 32;
inline constexpr unsigned interrupt_xapic_destination_shift = 40;
/// Only the function named in the entry may use it.
inline constexpr std::uint64_t interrupt_verify_source = 1U << 18;

/// 5.1.2.2: a message whose address says "remap entry `index`"; data is then 0.
constexpr std::uint64_t remappable_message_address(std::uint16_t index) {
    constexpr std::uint64_t remappable = 1U << 4;
    constexpr std::uint64_t subhandle_valid = 1U << 3;
    return 0xfee0'0000 | (std::uint64_t{index} & 0x7fff) << 5 | remappable | subhandle_valid |
           (std::uint64_t{index} >> 15) << 2;
}

}  // namespace pv::iommu::spec
