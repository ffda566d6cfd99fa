// The contents of MADT, MCFG, FADT and DSDT (one object).
// SPDX-License-Identifier: MIT
#include "acpi/entries.hpp"

#include <algorithm>

#include "acpi/spec.hpp"
#include "base/log.hpp"

namespace pv::acpi {
namespace {

constexpr std::uint32_t apic_enabled = 1;
constexpr std::uint32_t apic_online_capable = 2;

void refuse(Tables& tables, std::string_view table, std::string_view why) {
    ++tables.refused;
    log::error("ACPI: {}: {}", table, why);
}

Result<> add_processor(Tables& tables, std::uint32_t apic_id, std::uint32_t uid, std::uint32_t flags) {
    const bool known = std::any_of(tables.processors.begin(), tables.processors.end(),
                                   [&](const LocalApic& p) { return p.apic_id == apic_id; });
    if (known) {
        refuse(tables, "MADT", "two processors with one APIC id; the second is left out");
        return {};
    }
    return tables.processors.push_back(
        {apic_id, uid, (flags & apic_enabled) != 0, (flags & apic_online_capable) != 0});
}

Result<> read_madt_entry(std::uint8_t type, std::span<const std::byte> entry, Tables& tables) {
    switch (type) {
        case spec::madt_local_apic:
            if (const auto e = read_at<spec::MadtLocalApic>(entry, 0)) {
                return add_processor(tables, e->apic_id, e->processor, e->flags);
            }
            break;
        case spec::madt_local_x2apic:
            if (const auto e = read_at<spec::MadtLocalX2Apic>(entry, 0)) {
                return add_processor(tables, e->apic_id, e->processor, e->flags);
            }
            break;
        case spec::madt_io_apic:
            if (const auto e = read_at<spec::MadtIoApic>(entry, 0)) {
                return tables.io_apics.push_back({e->id, PhysicalAddress(e->address), e->interrupt_base});
            }
            break;
        case spec::madt_override:
            if (const auto e = read_at<spec::MadtOverride>(entry, 0)) {
                // 5.2.12.5: polarity in bits 1..0 (3 = low), trigger in bits 3..2 (3 = level).
                return tables.overrides.push_back(
                    {e->source, e->global_interrupt, (e->flags & 3) == 3, (e->flags >> 2 & 3) == 3});
            }
            break;
        case spec::madt_local_apic_address:
            if (const auto e = read_at<spec::MadtLocalApicAddress>(entry, 0)) {
                tables.local_apic = PhysicalAddress(e->address);
                return {};
            }
            break;
        default:
            return {};  // kinds this kernel has no use for
    }
    refuse(tables, "MADT", "an entry shorter than its type asks for");
    return {};
}

// A port of the FADT: the old field, or the newer one when it names an I/O port.
std::uint16_t port_of(std::span<const std::byte> table, std::size_t old_field, std::size_t new_field,
                      Tables& tables) {
    std::uint64_t port = 0;
    if (const auto value = read_at<le32>(table, old_field)) {
        port = *value;
    }
    if (const auto address = read_at<spec::GenericAddress>(table, new_field);
        port == 0 && address && address->space == spec::space_io) {
        port = address->address;
    }
    if (port > 0xffff) {
        refuse(tables, "FADT", "an I/O port beyond 0xffff");
        return 0;
    }
    return static_cast<std::uint16_t>(port);
}

}  // namespace

Result<> read_madt(std::span<const std::byte> table, Tables& tables) {
    const auto head = read_at<spec::Madt>(table, 0);
    if (!head) {
        refuse(tables, "MADT", "shorter than its fixed part");
        return {};
    }
    tables.local_apic = PhysicalAddress(head->local_apic);
    for (std::size_t offset = sizeof(spec::Madt); offset < table.size();) {
        const auto entry = read_at<spec::MadtEntry>(table, offset);
        if (!entry || entry->length < sizeof(spec::MadtEntry) || entry->length > table.size() - offset) {
            refuse(tables, "MADT", "an entry reaches past the table or has no length; the rest is left out");
            return {};
        }
        PV_TRY(read_madt_entry(entry->type, table.subspan(offset, entry->length), tables));
        offset += entry->length;
    }
    return {};
}

Result<> read_mcfg(std::span<const std::byte> table, Tables& tables) {
    for (std::size_t offset = spec::mcfg_entries; offset < table.size(); offset += sizeof(spec::McfgEntry)) {
        const auto e = read_at<spec::McfgEntry>(table, offset);
        if (!e) {
            refuse(tables, "MCFG", "its last entry is cut off");
            return {};
        }
        constexpr std::uint64_t bus_bytes = 1ULL << 20;
        constexpr std::uint64_t highest_base = (1ULL << 52) - 256 * bus_bytes;
        const std::uint64_t base = e->base;
        if (e->last_bus < e->first_bus || base == 0 || base % bus_bytes != 0 || base > highest_base) {
            refuse(tables, "MCFG", "an entry with an impossible address or bus range");
            continue;
        }
        const bool overlaps = std::any_of(tables.ecam.begin(), tables.ecam.end(), [&](const EcamRange& r) {
            return r.segment == e->segment && r.first_bus <= e->last_bus && e->first_bus <= r.last_bus;
        });
        if (overlaps) {
            refuse(tables, "MCFG", "two entries for one bus; the second is left out");
            continue;
        }
        PV_TRY(tables.ecam.push_back({PhysicalAddress(base), e->segment, e->first_bus, e->last_bus}));
    }
    return {};
}

PhysicalAddress read_fadt(std::span<const std::byte> table, Tables& tables) {
    FixedHardware fixed;
    fixed.pm1a_control = port_of(table, spec::fadt_pm1a_control, spec::fadt_x_pm1a_control, tables);
    fixed.pm1b_control = port_of(table, spec::fadt_pm1b_control, spec::fadt_x_pm1b_control, tables);
    fixed.pm_timer = port_of(table, spec::fadt_pm_timer, spec::fadt_x_pm_timer, tables);
    const std::uint32_t flags = read_at<le32>(table, spec::fadt_flags).value_or(le32{});
    fixed.pm_timer_32_bit = (flags & spec::fadt_flag_timer_32_bit) != 0;
    const auto reset = read_at<spec::GenericAddress>(table, spec::fadt_reset_register);
    if ((flags & spec::fadt_flag_reset_supported) != 0 && reset && reset->space == spec::space_io &&
        reset->address <= 0xffff) {
        fixed.reset_port = static_cast<std::uint16_t>(reset->address.get());
        fixed.reset_value = read_at<std::uint8_t>(table, spec::fadt_reset_value).value_or(0);
    }
    fixed.century_register = read_at<std::uint8_t>(table, spec::fadt_century).value_or(0);
    tables.fixed = fixed;
    std::uint64_t dsdt = read_at<le64>(table, spec::fadt_x_dsdt).value_or(le64{});
    if (dsdt == 0) {
        dsdt = read_at<le32>(table, spec::fadt_dsdt).value_or(le32{});
    }
    return PhysicalAddress(dsdt);
}

void read_dsdt(std::span<const std::byte> table, FixedHardware& fixed) {
    constexpr std::byte name_op{0x08};
    constexpr std::byte package_op{0x12};
    constexpr std::byte byte_prefix{0x0a};
    constexpr char name[] = "_S5_";
    const auto at = [&](std::size_t i) { return i < table.size() ? table[i] : std::byte{}; };
    for (std::size_t i = sizeof(spec::Header); i + 8 < table.size(); ++i) {
        if (std::memcmp(table.data() + i, name, 4) != 0) {
            continue;
        }
        const bool named = at(i - 1) == name_op || (at(i - 1) == std::byte{'\\'} && at(i - 2) == name_op);
        if (!named || at(i + 4) != package_op) {
            continue;
        }
        // Package length: one byte, or up to three more as its top two bits say; then the number of elements.
        std::size_t p = i + 5;
        p += 1 + (std::to_integer<std::size_t>(at(p)) >> 6);
        const auto elements = std::to_integer<unsigned>(at(p++));
        const auto integer = [&]() -> std::uint8_t {
            if (at(p) == byte_prefix) {
                ++p;
            }
            return std::to_integer<std::uint8_t>(at(p++));  // ZeroOp and OneOp are 0 and 1
        };
        if (elements >= 2) {
            fixed.sleep_type_s5_a = integer() & 7;
            fixed.sleep_type_s5_b = integer() & 7;
        }
        return;
    }
}

}  // namespace pv::acpi
