// The contents of DMAR and VIOT: which IOMMU is where, and which devices are behind it.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "acpi/entries.hpp"
#include "acpi/spec.hpp"
#include "base/log.hpp"

namespace pv::acpi {
namespace {

constexpr unsigned physical_address_bits = 52;
constexpr std::string_view scope_words = "a device scope that contradicts itself";

/// A table that is wrong in one place is not believed in another: nothing of it is used.
Result<> refuse(Tables& tables, std::string_view table, std::string_view why) {
    ++tables.refused;
    log::error("ACPI: {}: {}; the IOMMU is left off", table, why);
    return {};
}

/// Error: corrupt.
Result<Vector<DeviceScope>> read_scopes(std::span<const std::byte> bytes) {
    Vector<DeviceScope> scopes;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto scope = read_at<spec::DeviceScope>(bytes, at);
        if (!scope || scope->length < sizeof(spec::DeviceScope) + sizeof(spec::PathStep) ||
            scope->length > bytes.size() - at || scope->length % sizeof(spec::PathStep) != 0) {
            return fail(Error::corrupt);
        }
        if (scope->type == spec::scope_endpoint || scope->type == spec::scope_bridge) {
            DeviceScope read{.bridge = scope->type == spec::scope_bridge, .bus = scope->bus, .path = {}};
            for (std::size_t step = sizeof(spec::DeviceScope); step < scope->length;
                 step += sizeof(spec::PathStep)) {
                const auto one = *read_at<spec::PathStep>(bytes, at + step);
                if (one.device > 31 || one.function > 7) {
                    return fail(Error::corrupt);
                }
                PV_TRY(read.path.push_back({one.device, one.function}));
            }
            PV_TRY(scopes.push_back(std::move(read)));
        }
        at += scope->length;
    }
    return scopes;
}

/// Reads one DRHD. `why` says what is wrong with it, where something is. Error: out_of_memory.
Result<> read_unit(std::span<const std::byte> bytes, Vector<RemappingUnit>& units, std::string_view& why) {
    const auto unit = read_at<spec::Drhd>(bytes, 0);
    if (!unit || unit->registers == 0 || unit->registers % page_size != 0 ||
        unit->registers.get() >> physical_address_bits != 0) {
        why = "a remapping unit without usable registers";
        return {};
    }
    const bool known = std::any_of(units.begin(), units.end(), [&](const RemappingUnit& u) {
        return u.registers.value() == unit->registers;
    });
    if (known) {
        why = "two remapping units with the same registers";
        return {};
    }
    auto scopes = read_scopes(bytes.subspan(sizeof(spec::Drhd)));
    if (!scopes) {
        why = scope_words;
        return scopes.error() == Error::corrupt ? Result<>{} : Result<>{fail(scopes.error())};
    }
    return units.push_back({PhysicalAddress(unit->registers), unit->segment,
                            (unit->flags & spec::drhd_include_all) != 0, std::move(*scopes)});
}

/// Reads one RMRR, likewise. Whole pages (8.4); several devices may share a region, and regions one device.
Result<> read_reserved(std::span<const std::byte> bytes, Vector<ReservedMemory>& regions,
                       std::string_view& why) {
    const auto region = read_at<spec::Rmrr>(bytes, 0);
    if (!region || region->first % page_size != 0 || region->last.get() <= region->first.get() ||
        region->last % page_size != page_size - 1 || region->last.get() >> physical_address_bits != 0) {
        why = "reserved memory that is no run of pages";
        return {};
    }
    auto scopes = read_scopes(bytes.subspan(sizeof(spec::Rmrr)));
    if (!scopes) {
        why = scope_words;
        return scopes.error() == Error::corrupt ? Result<>{} : Result<>{fail(scopes.error())};
    }
    if (scopes->empty()) {
        why = "reserved memory for no device";
        return {};
    }
    return regions.push_back({region->first, region->last + 1, region->segment, std::move(*scopes)});
}

}  // namespace

Result<> read_dmar(std::span<const std::byte> table, Tables& tables) {
    const auto head = read_at<spec::Dmar>(table, 0);
    if (!head) {
        return refuse(tables, "DMAR", "shorter than its fixed part");
    }
    Vector<RemappingUnit> units;
    Vector<ReservedMemory> reserved;
    for (std::size_t offset = sizeof(spec::Dmar); offset < table.size();) {
        const auto entry = read_at<spec::DmarEntry>(table, offset);
        if (!entry || entry->length < sizeof(spec::DmarEntry) || entry->length > table.size() - offset) {
            return refuse(tables, "DMAR", "a structure reaches past the table or has no length");
        }
        const std::span<const std::byte> bytes = table.subspan(offset, entry->length);
        offset += entry->length;
        std::string_view why;
        if (entry->type == spec::dmar_drhd) {
            PV_TRY(read_unit(bytes, units, why));
        } else if (entry->type == spec::dmar_rmrr) {
            PV_TRY(read_reserved(bytes, reserved, why));
        }
        if (!why.empty()) {
            return refuse(tables, "DMAR", why);
        }
    }
    tables.interrupt_remapping = (head->flags & spec::dmar_flag_interrupt_remapping) != 0;
    tables.remapping = std::move(units);
    tables.reserved = std::move(reserved);
    return {};
}

Result<> read_viot(std::span<const std::byte> table, Tables& tables) {
    const auto head = read_at<spec::Viot>(table, 0);
    if (!head || head->first_node < sizeof(spec::Viot)) {
        return refuse(tables, "VIOT", "shorter than its fixed part");
    }
    Vector<TranslatedRange> ranges;
    std::size_t offset = head->first_node;
    for (std::uint32_t i = 0; i < head->nodes; ++i) {
        const auto node = read_at<spec::ViotNode>(table, offset);
        if (!node || node->length < sizeof(spec::ViotNode) || node->length > table.size() - offset) {
            return refuse(tables, "VIOT", "a node reaches past the table or has no length");
        }
        if (node->type == spec::viot_pci_range) {
            const auto range = read_at<spec::ViotPciRange>(table.subspan(offset, node->length), 0);
            const auto unit = range ? read_at<spec::ViotPciUnit>(table, range->output) : std::nullopt;
            if (!unit || unit->node.type != spec::viot_pci_unit || range->first > range->last ||
                range->first_segment > range->last_segment) {
                return refuse(tables, "VIOT", "a range of devices without a unit, or without devices");
            }
            // Endpoints count on from segment to segment; here one range a segment.
            const std::uint32_t first = std::uint32_t{range->first_segment} << 16 | range->first;
            PV_TRY(ranges.push_back({.first = first,
                                     .last = std::uint32_t{range->first_segment} << 16 | range->last,
                                     .endpoint = range->endpoint,
                                     .unit = std::uint32_t{unit->segment} << 16 | unit->bdf}));
        }
        offset += node->length;
    }
    tables.translated = std::move(ranges);
    return {};
}

}  // namespace pv::acpi
