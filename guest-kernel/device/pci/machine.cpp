// This machine's PCI: every configuration space there is, found through ACPI.
// SPDX-License-Identifier: MIT
#include "device/pci/machine.hpp"

#include <memory>
#include <new>

#include "acpi/tables.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "device/pci/ecam.hpp"
#include "device/pci/ports.hpp"

namespace pv::pci {
namespace {

/// Made once by find_functions, read only afterwards; never destroyed.
struct Spaces {
    Vector<EcamSpace*> ecam;
    PortSpace ports;
};

constinit Spaces* spaces = nullptr;

}  // namespace

Result<Vector<Found>> find_functions() {
    PV_ASSERT(spaces == nullptr);
    spaces = new (std::nothrow) Spaces;
    if (spaces == nullptr) {
        return fail(Error::out_of_memory);
    }
    Vector<Found> all;
    Result<> kept;
    const auto keep = [&](const Found& found) {
        if (kept) {
            kept = all.push_back(found);
        }
    };
    ScanTotals totals;
    const auto add = [&](const ScanTotals& more) {
        totals.functions += more.functions;
        totals.buses += more.buses;
        totals.refused_bridges += more.refused_bridges;
    };
    for (const acpi::EcamRange& range : acpi::tables().ecam) {
        auto* space = new (std::nothrow) EcamSpace{range};
        if (space == nullptr) {
            return fail(Error::out_of_memory);
        }
        PV_TRY(spaces->ecam.push_back(space));
        add(scan(*space, range.segment, range.first_bus, range.last_bus, keep));
    }
    if (spaces->ecam.empty()) {
        add(scan(spaces->ports, 0, 0, 255, keep));
    }
    PV_TRY(kept);
    log::info("pci: {} functions on {} buses, through {}", totals.functions, totals.buses,
              spaces->ecam.empty() ? "ports 0xcf8 and 0xcfc" : "ECAM");
    if (totals.refused_bridges != 0) {
        log::warning("pci: {} bridges lead nowhere new", totals.refused_bridges);
    }
    return all;
}

Function function_at(Address address) {
    PV_ASSERT(spaces != nullptr);
    for (EcamSpace* space : spaces->ecam) {
        if (space->covers(address)) {
            return Function{*space, address};
        }
    }
    return Function{spaces->ports, address};
}

}  // namespace pv::pci
