// Machines that cannot be had: what the firmware says, changed by `test_madt=` before the kernel believes it.
// SPDX-License-Identifier: MIT
#include "acpi/tables.hpp"
#include "base/log.hpp"
#include "boot/options.hpp"
#include "boot/tests.hpp"

namespace pv::boot {

// `test_madt=add:N` lists one more enabled processor with APIC id N; `rename:N` gives the first one that id.
void alter_tables(acpi::Tables& tables) {
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
