// ACPI's static tables as they lie in memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.hpp"

/// Sections are of the ACPI Specification 6.4 unless another document is named.
namespace pv::acpi::spec {

using Signature = std::array<char, 4>;

/// 5.2.5.3
struct Rsdp {
    std::array<char, 8> signature;
    std::uint8_t checksum;
    std::array<char, 6> oem;
    std::uint8_t revision;
    le32 rsdt;
};

static_assert(sizeof(Rsdp) == 20);

struct RsdpExtended {
    Rsdp base;
    le32 length;
    le64 xsdt;
    std::uint8_t checksum;
    std::array<std::uint8_t, 3> reserved;
};

static_assert(sizeof(RsdpExtended) == 36);

/// 5.2.6
struct Header {
    Signature signature;
    le32 length;
    std::uint8_t revision;
    std::uint8_t checksum;
    std::array<char, 6> oem;
    std::array<char, 8> oem_table;
    le32 oem_revision;
    le32 creator;
    le32 creator_revision;
};

static_assert(sizeof(Header) == 36);

/// 5.2.12, what follows the header
struct Madt {
    Header header;
    le32 local_apic;
    le32 flags;
};

static_assert(sizeof(Madt) == 44);

struct MadtEntry {
    std::uint8_t type;
    std::uint8_t length;
};

enum MadtType : std::uint8_t {
    madt_local_apic = 0,
    madt_io_apic = 1,
    madt_override = 2,
    madt_local_apic_address = 5,
    madt_local_x2apic = 9,
};

/// 5.2.12.2
struct MadtLocalApic {
    MadtEntry entry;
    std::uint8_t processor;
    std::uint8_t apic_id;
    le32 flags;
};

static_assert(sizeof(MadtLocalApic) == 8);

/// 5.2.12.3
struct MadtIoApic {
    MadtEntry entry;
    std::uint8_t id;
    std::uint8_t reserved;
    le32 address;
    le32 interrupt_base;
};

static_assert(sizeof(MadtIoApic) == 12);

/// 5.2.12.5
struct MadtOverride {
    MadtEntry entry;
    std::uint8_t bus;
    std::uint8_t source;
    le32 global_interrupt;
    le16 flags;
};

static_assert(sizeof(MadtOverride) == 10);

/// 5.2.12.8
struct MadtLocalApicAddress {
    MadtEntry entry;
    le16 reserved;
    le64 address;
};

static_assert(sizeof(MadtLocalApicAddress) == 12);

/// 5.2.12.12
struct MadtLocalX2Apic {
    MadtEntry entry;
    le16 reserved;
    le32 apic_id;
    le32 flags;
    le32 processor;
};

static_assert(sizeof(MadtLocalX2Apic) == 16);

/// PCI Firmware Specification 3.2, table 4-3; the header is followed by eight reserved bytes
struct McfgEntry {
    le64 base;
    le16 segment;
    std::uint8_t first_bus;
    std::uint8_t last_bus;
    le32 reserved;
};

static_assert(sizeof(McfgEntry) == 16);
inline constexpr std::size_t mcfg_entries = sizeof(Header) + 8;

/// 5.2.3.2
struct GenericAddress {
    std::uint8_t space;  ///< 1 = I/O port
    std::uint8_t width;
    std::uint8_t offset;
    std::uint8_t access;
    le64 address;
};

static_assert(sizeof(GenericAddress) == 12);
inline constexpr std::uint8_t space_io = 1;

/// 5.2.9: offsets of the fields read here. Older, shorter tables lack the later ones.
inline constexpr std::size_t fadt_dsdt = 40;
inline constexpr std::size_t fadt_pm1a_control = 64;
inline constexpr std::size_t fadt_pm1b_control = 68;
inline constexpr std::size_t fadt_pm_timer = 76;
inline constexpr std::size_t fadt_pm_timer_length = 91;
inline constexpr std::size_t fadt_century = 108;
inline constexpr std::size_t fadt_flags = 112;
inline constexpr std::size_t fadt_reset_register = 116;
inline constexpr std::size_t fadt_reset_value = 128;
inline constexpr std::size_t fadt_x_dsdt = 140;
inline constexpr std::size_t fadt_x_pm1a_control = 172;
inline constexpr std::size_t fadt_x_pm1b_control = 184;
inline constexpr std::size_t fadt_x_pm_timer = 208;
inline constexpr std::uint32_t fadt_flag_timer_32_bit = 1U << 8;
inline constexpr std::uint32_t fadt_flag_reset_supported = 1U << 10;

/// Intel VT-d 4.0, 8.1
struct Dmar {
    Header header;
    std::uint8_t address_width;
    std::uint8_t flags;
    std::array<std::uint8_t, 10> reserved;
};

static_assert(sizeof(Dmar) == 48);
inline constexpr std::uint8_t dmar_flag_interrupt_remapping = 1;

/// 8.2 and 8.3
struct DmarEntry {
    le16 type;
    le16 length;
};

struct Drhd {
    DmarEntry entry;
    std::uint8_t flags;
    std::uint8_t size;
    le16 segment;
    le64 registers;
};

static_assert(sizeof(Drhd) == 16);
inline constexpr std::uint16_t dmar_drhd = 0;

/// 8.4; device scopes follow
struct Rmrr {
    DmarEntry entry;
    le16 reserved;
    le16 segment;
    le64 first;
    le64 last;  ///< the last byte
};

static_assert(sizeof(Rmrr) == 24);
inline constexpr std::uint16_t dmar_rmrr = 1;
inline constexpr std::uint8_t drhd_include_all = 1;

/// 8.3.1; steps of a path follow
struct DeviceScope {
    std::uint8_t type;
    std::uint8_t length;
    le16 reserved;
    std::uint8_t enumeration;
    std::uint8_t bus;
};

static_assert(sizeof(DeviceScope) == 6);
inline constexpr std::uint8_t scope_endpoint = 1;
inline constexpr std::uint8_t scope_bridge = 2;

struct PathStep {
    std::uint8_t device;
    std::uint8_t function;
};

static_assert(sizeof(PathStep) == 2);

/// ACPI 6.4 refers to the "Virtual I/O Translation Table" document, revision 0
struct Viot {
    Header header;
    le16 nodes;
    le16 first_node;
    le64 reserved;
};

static_assert(sizeof(Viot) == 48);

struct ViotNode {
    std::uint8_t type;
    std::uint8_t reserved;
    le16 length;
};

static_assert(sizeof(ViotNode) == 4);
inline constexpr std::uint8_t viot_pci_range = 1;
inline constexpr std::uint8_t viot_pci_unit = 3;

struct ViotPciRange {
    ViotNode node;
    le32 endpoint;  ///< of the first function; they count on from there
    le16 first_segment;
    le16 last_segment;
    le16 first;  ///< bus, device and function
    le16 last;
    le16 output;  ///< offset of the unit's node
    std::array<std::uint8_t, 6> reserved;
};

static_assert(sizeof(ViotPciRange) == 24);

struct ViotPciUnit {
    ViotNode node;
    le16 segment;
    le16 bdf;
    le64 reserved;
};

static_assert(sizeof(ViotPciUnit) == 16);

}  // namespace pv::acpi::spec
