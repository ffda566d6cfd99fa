// What the ACPI static tables say about this machine: processors, interrupt controllers, PCI, power, IOMMUs.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "acpi/memory.hpp"
#include "base/address.hpp"
#include "base/result.hpp"
#include "base/vector.hpp"

/// ACPI Specification 6.4 chapter 5; PCI Firmware Specification 3.2 section 4.1.2 (MCFG); Intel VT-d
/// specification 4.0 chapter 8 (DMAR); Virtual I/O Translation Table 0 (VIOT). Everything is checked before
/// it is believed; a table that lies is reported on the log and left out, the others count.
namespace pv::acpi {

struct LocalApic {
    std::uint32_t apic_id = 0;
    std::uint32_t processor_uid = 0;
    bool enabled = false;         ///< usable now
    bool online_capable = false;  ///< could be made usable
};

struct IoApic {
    std::uint8_t id = 0;
    PhysicalAddress address{};
    std::uint32_t interrupt_base = 0;  ///< first global system interrupt
};

struct InterruptOverride {
    std::uint8_t isa_source = 0;
    std::uint32_t global_interrupt = 0;
    bool active_low = false;
    bool level_triggered = false;
};

/// One PCI segment's (or part of one's) configuration space in memory.
struct EcamRange {
    PhysicalAddress base{};  ///< of bus 0 of the segment, even when first_bus is not 0
    std::uint16_t segment = 0;
    std::uint8_t first_bus = 0;
    std::uint8_t last_bus = 0;
};

/// How this machine is turned off and its clock read (FADT).
struct FixedHardware {
    std::uint16_t pm1a_control = 0;  ///< I/O port, 0 = none
    std::uint16_t pm1b_control = 0;
    std::uint16_t pm_timer = 0;  ///< I/O port of the 3.579545 MHz counter, 0 = none
    bool pm_timer_32_bit = false;
    std::uint16_t reset_port = 0;  ///< 0 = none
    std::uint8_t reset_value = 0;
    std::uint8_t century_register = 0;  ///< of the real-time clock, 0 = none
    std::uint8_t sleep_type_s5_a = 0;   ///< SLP_TYPa of \_S5, from the DSDT; 0 where it was not found
    std::uint8_t sleep_type_s5_b = 0;
};

/// A function's number among those of its bus.
struct ScopeStep {
    std::uint8_t device = 0;
    std::uint8_t function = 0;
};

/// A device that is behind a remapping unit, as the way to it: from function to function, through bridges.
struct DeviceScope {
    bool bridge = false;   ///< everything behind it is meant
    std::uint8_t bus = 0;  ///< where the way begins
    Vector<ScopeStep> path;
};

/// One remapping hardware unit (DRHD).
struct RemappingUnit {
    PhysicalAddress registers{};
    std::uint16_t segment = 0;
    bool includes_all = false;  ///< whatever no other unit of the segment names
    Vector<DeviceScope> scopes;
};

/// Memory that firmware lets devices use, whatever the kernel does (RMRR): whole pages [begin, end).
struct ReservedMemory {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint16_t segment = 0;
    Vector<DeviceScope> scopes;  ///< those devices; at least one
};

/// PCI functions [first, last], as markers number them, that are behind the virtio-iommu at function `unit`,
/// and what the first of them is called there.
struct TranslatedRange {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::uint32_t endpoint = 0;
    std::uint32_t unit = 0;
};

struct Tables {
    Vector<LocalApic> processors;
    PhysicalAddress local_apic{};
    Vector<IoApic> io_apics;
    Vector<InterruptOverride> overrides;
    Vector<EcamRange> ecam;
    std::optional<FixedHardware> fixed;
    Vector<RemappingUnit> remapping;
    Vector<ReservedMemory> reserved;     ///< for devices behind them
    Vector<TranslatedRange> translated;  ///< by virtio-iommus (VIOT)
    bool interrupt_remapping = false;    ///< DMAR says the platform supports it
    std::uint32_t refused = 0;           ///< tables or entries left out because they contradicted themselves
};

/// Reads everything reachable from the RSDP at `rsdp`. Errors: not_found (no RSDP there), corrupt (neither
/// RSDT nor XSDT can be read), out_of_memory.
Result<Tables> parse(PhysicalAddress rsdp, Memory& memory);

/// This machine's tables, once boot has read them; empty before, and on a machine without.
[[nodiscard]] const Tables& tables();

}  // namespace pv::acpi
