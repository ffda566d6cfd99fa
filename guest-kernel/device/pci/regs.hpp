// PCI configuration registers (PCI Express Base Specification 5.0, section 7.5; PCI Local Bus 3.0, chapter
// 6).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/mmio/register.hpp"

namespace pv::pci {

struct Registers {
    template <class T>
    using ReadOnly = mmio::Register<T, mmio::Access::read_only>;
    template <class T>
    using ReadWrite = mmio::Register<T, mmio::Access::read_write>;

    static constexpr ReadOnly<std::uint16_t> vendor{0x00};
    static constexpr ReadOnly<std::uint16_t> device{0x02};
    static constexpr ReadWrite<std::uint16_t> command{0x04};
    static constexpr ReadOnly<std::uint16_t> status{0x06};
    static constexpr ReadOnly<std::uint8_t> interface{0x09};
    static constexpr ReadOnly<std::uint8_t> subclass{0x0a};
    static constexpr ReadOnly<std::uint8_t> base_class{0x0b};
    static constexpr ReadOnly<std::uint8_t> header{0x0e};
    static constexpr mmio::RegisterArray<std::uint32_t> base_addresses{0x10, 4};
    static constexpr ReadOnly<std::uint8_t> capabilities{0x34};
    // Bridges (header type 1)
    static constexpr ReadOnly<std::uint8_t> secondary_bus{0x19};
    static constexpr ReadOnly<std::uint8_t> subordinate_bus{0x1a};
    // What they lead on to devices behind them: bits 31..20 of the first and last megabyte, in bits 15..4
    static constexpr ReadOnly<std::uint16_t> memory_base{0x20};
    static constexpr ReadOnly<std::uint16_t> memory_limit{0x22};
    static constexpr ReadOnly<std::uint16_t> prefetchable_base{0x24};
    static constexpr ReadOnly<std::uint16_t> prefetchable_limit{0x26};
    static constexpr ReadOnly<std::uint32_t> prefetchable_base_high{0x28};
    static constexpr ReadOnly<std::uint32_t> prefetchable_limit_high{0x2c};

    static constexpr std::uint16_t no_device = 0xffff;  // vendor of an empty slot

    static constexpr std::uint16_t command_io = 1U << 0;
    static constexpr std::uint16_t command_memory = 1U << 1;
    static constexpr std::uint16_t command_bus_master = 1U << 2;
    static constexpr std::uint16_t command_no_intx = 1U << 10;
    static constexpr std::uint16_t status_capabilities = 1U << 4;
    static constexpr std::uint8_t header_type_mask = 0x7f;
    static constexpr std::uint8_t header_bridge = 1;
    static constexpr std::uint8_t header_multi_function = 0x80;
    static constexpr std::uint8_t class_mass_storage = 0x01;
    static constexpr std::uint8_t class_bridge = 0x06;
    static constexpr std::uint8_t subclass_nvme = 0x08;
    static constexpr std::uint8_t interface_nvme = 0x02;
};

/// Capability ids (PCI Code and ID Assignment Specification).
enum class CapabilityId : std::uint8_t { vendor = 0x09, express = 0x10, msix = 0x11 };

/// PCI Express capability of a port with a slot (PCI Express 5.0, 7.5.3), by offset from the capability.
struct SlotRegisters {
    static constexpr std::size_t flags = 0x02;         // 16 bits
    static constexpr std::size_t capabilities = 0x14;  // 32 bits
    static constexpr std::size_t control = 0x18;       // 16 bits
    static constexpr std::size_t status = 0x1a;        // 16 bits

    static constexpr std::uint16_t flags_slot = 1U << 8;  // a slot is implemented
    static constexpr unsigned flags_message_shift = 9;    // which MSI-X entry says events
    static constexpr std::uint16_t flags_message_mask = 0x1f;

    static constexpr std::uint32_t has_power_controller = 1U << 1;
    static constexpr std::uint32_t hot_plug_capable = 1U << 6;
    static constexpr std::uint32_t no_command_completed = 1U << 18;
    static constexpr unsigned number_shift = 19;

    static constexpr std::uint16_t say_attention = 1U << 0;
    static constexpr std::uint16_t say_presence = 1U << 3;
    static constexpr std::uint16_t interrupts = 1U << 5;
    static constexpr std::uint16_t power_indicator = 3U << 8;
    static constexpr std::uint16_t power_indicator_on = 1U << 8;
    static constexpr std::uint16_t power_indicator_blinks = 2U << 8;
    static constexpr std::uint16_t power_indicator_off = 3U << 8;
    static constexpr std::uint16_t power_off = 1U << 10;
    static constexpr std::uint16_t say_link = 1U << 12;

    static constexpr std::uint16_t attention = 1U << 0;  // the button was pressed
    static constexpr std::uint16_t presence_changed = 1U << 3;
    static constexpr std::uint16_t command_completed = 1U << 4;
    static constexpr std::uint16_t occupied = 1U << 6;
    static constexpr std::uint16_t link_changed = 1U << 8;
    /// What stays until a 1 is written to it: button, power fault, latch, presence, command, link.
    static constexpr std::uint16_t events = 0x11f;
};

/// MSI-X capability (PCI Express 5.0, 7.7.2), by offset from the capability, and its table's entries.
struct MsixRegisters {
    static constexpr std::size_t control = 2;  // 16 bits
    static constexpr std::size_t table = 4;    // 32 bits: BAR in bits 2..0, offset above
    static constexpr std::size_t pending = 8;  // 32 bits, same form

    static constexpr std::uint16_t control_enable = 1U << 15;
    static constexpr std::uint16_t control_mask_all = 1U << 14;
    static constexpr std::uint16_t control_size_mask = 0x7ff;  // table entries, 0's based

    static constexpr std::size_t entry_bytes = 16;
    static constexpr mmio::RegisterArray<std::uint32_t> address_low{0, entry_bytes};
    static constexpr mmio::RegisterArray<std::uint32_t> address_high{4, entry_bytes};
    static constexpr mmio::RegisterArray<std::uint32_t> data{8, entry_bytes};
    static constexpr mmio::RegisterArray<std::uint32_t> vector_control{12, entry_bytes};
    static constexpr std::uint32_t vector_masked = 1;
};

}  // namespace pv::pci
