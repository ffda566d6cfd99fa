// Whether the processors the firmware lists can be: an interrupt sent by a wrong APIC id goes to somebody
// else.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "acpi/tables.hpp"

namespace pv::boot {

enum class ProcessorFlaw : std::uint8_t {
    none,
    own_not_listed,  ///< the processor this runs on is none of them
    listed_twice,    ///< two enabled entries have one APIC id
    out_of_reach,    ///< the id does not fit the APIC's mode: above 254 in xAPIC mode, or the broadcast id
};

struct ProcessorVerdict {
    ProcessorFlaw flaw = ProcessorFlaw::none;
    std::uint32_t apic_id = 0;  ///< the one it is about
};

/// Judges the MADT's processors (ACPI 6.4, 5.2.12). Entries that are not enabled are not used and may hold
/// anything. An empty list is a machine without a MADT: nothing to judge.
inline ProcessorVerdict judge_processors(std::span<const acpi::LocalApic> listed, std::uint32_t own_id,
                                         bool is_x2apic) {
    const std::uint32_t highest = is_x2apic ? 0xffff'fffe : 0xfe;
    for (auto entry = listed.begin(); entry != listed.end(); ++entry) {
        if (!entry->enabled) {
            continue;
        }
        if (entry->apic_id > highest) {
            return {ProcessorFlaw::out_of_reach, entry->apic_id};
        }
        if (std::any_of(listed.begin(), entry, [&](const acpi::LocalApic& earlier) {
                return earlier.enabled && earlier.apic_id == entry->apic_id;
            })) {
            return {ProcessorFlaw::listed_twice, entry->apic_id};
        }
    }
    const bool own_is_listed =
        listed.empty() || std::any_of(listed.begin(), listed.end(), [own_id](const acpi::LocalApic& p) {
            return p.enabled && p.apic_id == own_id;
        });
    return own_is_listed ? ProcessorVerdict{} : ProcessorVerdict{ProcessorFlaw::own_not_listed, own_id};
}

}  // namespace pv::boot
