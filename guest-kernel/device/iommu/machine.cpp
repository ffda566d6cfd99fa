// This machine's IOMMU: found, set up, turned on.
// SPDX-License-Identifier: MIT
#include "device/iommu/machine.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "acpi/tables.hpp"
#include "base/log.hpp"
#include "base/vector.hpp"
#include "boot/memory.hpp"
#include "device/dma/bounce.hpp"
#include "device/iommu/registry.hpp"
#include "device/iommu/virtio_unit.hpp"
#include "device/iommu/vtd.hpp"
#include "device/pci/machine.hpp"
#include "device/pci/regs.hpp"
#include "device/virtio/spec.hpp"

namespace pv::iommu {
namespace {

/// Filled by start, read only afterwards; never destroyed.
struct Machine {
    Vector<std::unique_ptr<Unit>> units;
    Vector<const acpi::RemappingUnit*> described;  ///< what ACPI says of each, for VT-d
    Vector<Attached> devices;                      ///< sorted
    std::optional<marker::Device> itself;          ///< a unit that is a PCI function
};

constinit Machine* machine = nullptr;

/// The function at the end of a scope's path: bridges lead from bus to bus.
pci::Address at_end_of(const acpi::DeviceScope& scope, std::uint16_t segment) {
    pci::Address at{segment, scope.bus, 0, 0};
    for (std::size_t i = 0; i < scope.path.size(); ++i) {
        if (i != 0) {
            at.bus = pci::function_at(at).read(pci::Registers::secondary_bus);
        }
        at.device = scope.path[i].device;
        at.function = scope.path[i].function;
    }
    return at;
}

bool names(const Vector<acpi::DeviceScope>& scopes, std::uint16_t segment, pci::Address function) {
    return std::any_of(scopes.begin(), scopes.end(), [&](const acpi::DeviceScope& scope) {
        const pci::Address end = at_end_of(scope, segment);
        if (end == function) {
            return true;
        }
        const pci::Function bridge = pci::function_at(end);
        return scope.bridge && end.segment == function.segment &&
               bridge.read(pci::Registers::secondary_bus) <= function.bus &&
               function.bus <= bridge.read(pci::Registers::subordinate_bus);
    });
}

/// The unit that names the function, else the one that takes what no other names (VT-d 4.0, 8.3).
Unit* unit_of(const Machine& made, pci::Address function) {
    Unit* rest = nullptr;
    for (std::size_t i = 0; i < made.units.size(); ++i) {
        if (made.described.empty()) {
            return made.units[i].get();
        }
        const acpi::RemappingUnit& described = *made.described[i];
        if (described.segment != function.segment) {
            continue;
        }
        if (names(described.scopes, described.segment, function)) {
            return made.units[i].get();
        }
        rest = described.includes_all ? made.units[i].get() : rest;
    }
    return rest;
}

Result<> find_vtd(Machine& made) {
    const acpi::Tables& tables = acpi::tables();
    for (const acpi::RemappingUnit& described : tables.remapping) {
        std::unique_ptr<Unit> unit = PV_TRY(VtdUnit::create(described.registers, tables.interrupt_remapping));
        PV_TRY(made.units.push_back(std::move(unit)));
        PV_TRY(made.described.push_back(&described));
    }
    return {};
}

/// One virtio-iommu: the first that the firmware's table names and the bus has.
Result<> find_virtio(Machine& made, std::span<const pci::Found> functions) {
    const Vector<acpi::TranslatedRange>& ranges = acpi::tables().translated;
    for (const pci::Found& found : functions) {
        const marker::Device device = found.address.marker();
        const bool named = std::any_of(ranges.begin(), ranges.end(), [&](const acpi::TranslatedRange& range) {
            return marker::Device{range.unit} == device;
        });
        if (!named || found.vendor != virtio::pci_vendor ||
            found.device != virtio::pci_modern_base + virtio_spec::device_type) {
            continue;
        }
        std::unique_ptr<Unit> unit = PV_TRY(VirtioUnit::create(pci::function_at(found.address), ranges));
        made.itself = device;
        return made.units.push_back(std::move(unit));
    }
    return {};
}

/// Memory that firmware uses the device with goes on to be reached by it: what else it does depends on that.
/// Memory of the kernel's own is nobody's to give away, whatever firmware says.
Result<> keep_reserved(Domain& domain, pci::Address function) {
    for (const acpi::ReservedMemory& region : acpi::tables().reserved) {
        if (!names(region.scopes, region.segment, function)) {
            continue;
        }
        const auto device = static_cast<std::uint32_t>(domain.device());
        if (boot::overlaps_ram(PhysicalAddress{region.begin}, region.end - region.begin)) {
            log::error("IOMMU: the firmware reserves {:#x} to {:#x} for device {:#x}, which is RAM: refused",
                       region.begin, region.end - 1, device);
            continue;
        }
        const Result<> kept = domain.keep({region.begin, region.end});
        if (!kept && kept.error() != Error::out_of_range) {
            return kept;
        }
        log::info("IOMMU: memory {:#x} to {:#x} is {} device {:#x}", region.begin, region.end - 1,
                  kept ? "kept for" : "out of reach of", device);
    }
    return {};
}

Result<> attach(Machine& made, std::span<const pci::Found> functions) {
    for (const pci::Found& found : functions) {
        const marker::Device device = found.address.marker();
        // A bridge to another bus has interrupts of its own.
        const bool chipset = found.base_class == pci::Registers::class_bridge && !found.bridge;
        if (chipset || device == made.itself) {
            continue;
        }
        Unit* unit = unit_of(made, found.address);
        if (unit == nullptr) {
            log::warning("IOMMU: no unit for device {:#x}: it is given no memory",
                         static_cast<std::uint32_t>(device));
            continue;
        }
        std::unique_ptr<Domain> domain = PV_TRY(unit->attach(device));
        if (!made.described.empty()) {
            PV_TRY(keep_reserved(*domain, found.address));
        }
        PV_TRY(made.devices.push_back({device, unit, std::move(domain)}));
    }
    std::sort(made.devices.begin(), made.devices.end(),
              [](const Attached& a, const Attached& b) { return a.device < b.device; });
    for (const auto& unit : made.units) {
        PV_TRY(unit->enable());
    }
    return {};
}

Result<> set_up(Machine& made, std::span<const pci::Found> functions) {
    PV_TRY(find_vtd(made));
    if (made.units.empty()) {
        PV_TRY(find_virtio(made, functions));
    }
    if (made.units.empty()) {
        return fail(Error::not_found);
    }
    return attach(made, functions);
}

void go_without() {
    const Result<> pool = dma::bounce::start();
    log::warning("no IOMMU: DMA is not confined; bounce buffers from a fixed pool of {} KiB",
                 dma::bounce::figures().size >> 10);
    if (!pool) {
        log::error("dma: no bounce buffers: {}; devices work on the kernel's own memory", pool.error());
    }
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
        go_without();
        return;
    }
    log::info("{}: {} devices, each in a domain of its own", made->units[0]->kind(), made->devices.size());
    machine = made;
    confine(&made->devices);
}

void stop() {
    if (machine != nullptr && machine->itself.has_value()) {
        for (const auto& unit : machine->units) {
            unit->disable();
        }
    }
}

}  // namespace pv::iommu
