// This machine's IOMMU: set up once, then asked by DMA mappings and by interrupts.
// SPDX-License-Identifier: MIT
#include "device/iommu/machine.hpp"

#include <algorithm>
#include <memory>
#include <new>

#include "acpi/tables.hpp"
#include "base/log.hpp"
#include "base/vector.hpp"
#include "device/dma/bounce.hpp"
#include "device/iommu/registry.hpp"
#include "device/iommu/vtd.hpp"
#include "device/pci/regs.hpp"

namespace pv::iommu {
namespace {

/// Filled by start, read only afterwards; never destroyed.
struct Machine {
    Vector<std::unique_ptr<Unit>> units;
    Vector<Attached> devices;  ///< sorted
    std::string_view kind;
};

/// The unit responsible for `function`: here the one that takes all that is left (VT-d 4.0, 8.3).
Result<> take_vtd(Machine& made) {
    const acpi::Tables& tables = acpi::tables();
    for (const acpi::RemappingUnit& described : tables.remapping) {
        std::unique_ptr<Unit> unit = PV_TRY(VtdUnit::create(described.registers, tables.interrupt_remapping));
        PV_TRY(made.units.push_back(std::move(unit)));
    }
    return {};
}

Result<> attach(Machine& made, std::span<const pci::Found> functions) {
    for (const pci::Found& found : functions) {
        if (found.base_class == pci::Registers::class_bridge) {
            continue;
        }
        Unit& unit = *made.units[made.units.size() - 1];
        const marker::Device device = found.address.marker();
        std::unique_ptr<Domain> domain = PV_TRY(unit.attach(device));
        PV_TRY(made.devices.push_back({device, &unit, std::move(domain)}));
    }
    std::sort(made.devices.begin(), made.devices.end(),
              [](const Attached& a, const Attached& b) { return a.device < b.device; });
    for (const auto& unit : made.units) {
        PV_TRY(unit->enable());
    }
    return {};
}

Result<> set_up(Machine& made, std::span<const pci::Found> functions) {
    PV_TRY(take_vtd(made));
    if (made.units.empty()) {
        return fail(Error::not_found);
    }
    made.kind = made.units[0]->kind();
    return attach(made, functions);
}

}  // namespace

void start(std::span<const pci::Found> functions) {
    auto* made = new (std::nothrow) Machine;
    const Result<> up = made == nullptr ? fail(Error::out_of_memory) : set_up(*made, functions);
    if (!up) {
        if (up.error() != Error::not_found) {
            log::error("IOMMU: left off: {}", up.error());
        }
        if (made != nullptr) {
            for (const auto& unit : made->units) {
                unit->disable();
            }
            // What a unit was told of its memory cannot be taken back for certain: it is kept.
        }
        const Result<> pool = dma::bounce::start();
        log::warning("no IOMMU: DMA is not confined; bounce buffers from a fixed pool of {} KiB",
                     dma::bounce::figures().size >> 10);
        if (!pool) {
            log::error("dma: no bounce buffers: {}; devices work on the kernel's own memory", pool.error());
        }
        return;
    }
    log::info("{}: {} devices, each in a domain of its own", made->kind, made->devices.size());
    confine(&made->devices);
}

}  // namespace pv::iommu
