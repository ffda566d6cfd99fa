// Machines that cannot be had: what the firmware says, changed by `test_madt=` before the kernel believes it.
// SPDX-License-Identifier: MIT
#include <utility>

#include "acpi/tables.hpp"
#include "base/log.hpp"
#include "boot/options.hpp"
#include "boot/tests.hpp"

namespace pv::boot {

namespace {

/// Memory [begin, end) for the function 00:08.0.
void reserve(acpi::Tables& tables, std::uint64_t begin, std::uint64_t end) {
    acpi::DeviceScope scope{.bridge = false, .bus = 0, .path = {}};
    acpi::ReservedMemory region{.begin = begin, .end = end, .segment = 0, .scopes = {}};
    PV_EXPECT(scope.path.push_back({8, 0}).has_value());
    PV_EXPECT(region.scopes.push_back(std::move(scope)).has_value());
    PV_EXPECT(tables.reserved.push_back(std::move(region)).has_value());
}

}  // namespace

// `test_rmrr=1`: firmware reserves the last 64 KiB below 1 MiB, twice, and some RAM.
// `test_madt=add:N` lists one more enabled processor with APIC id N; `rename:N` gives the first one that id.
void alter_tables(acpi::Tables& tables) {
    if (option("test_rmrr")) {
        reserve(tables, 0xf'0000, 0x10'0000);
        reserve(tables, 0xf'8000, 0x10'0000);
        reserve(tables, 0x200'0000, 0x201'0000);
    }
    const auto text = option("test_madt");
    if (!text) {
        return;
    }
    for_each_item(*text, [&](std::string_view key, std::string_view value) {
        const auto id = parse_number(value);
        if (!id) {
            return;
        }
        acpi::LocalApic processor;
        processor.apic_id = static_cast<std::uint32_t>(*id);
        processor.enabled = true;
        if (key == "add") {
            PV_EXPECT(tables.processors.push_back(processor).has_value());
        } else if (key == "rename" && !tables.processors.empty()) {
            tables.processors[0].apic_id = processor.apic_id;
        }
        log::info("test_madt: {} {}", key, *id);
    });
}

}  // namespace pv::boot
