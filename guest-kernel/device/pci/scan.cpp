// Finding every PCI function: multi-function devices, and whatever lies behind bridges.
// SPDX-License-Identifier: MIT
#include "device/pci/scan.hpp"

#include <bitset>

#include "device/pci/regs.hpp"

namespace pv::pci {
namespace {

constexpr std::uint8_t devices_per_bus = 32;
constexpr std::uint8_t functions_per_device = 8;

Found describe(const Function& function, std::uint16_t vendor, std::uint8_t header) {
    return {.address = function.address(),
            .vendor = vendor,
            .device = function.read(Registers::device),
            .base_class = function.read(Registers::base_class),
            .subclass = function.read(Registers::subclass),
            .interface = function.read(Registers::interface),
            .bridge = (header & Registers::header_type_mask) == Registers::header_bridge};
}

}  // namespace

ScanTotals scan(ConfigSpace& space, std::uint16_t segment, std::uint8_t first_bus, std::uint8_t last_bus,
                FunctionRef<void(const Found&)> found) {
    ScanTotals totals;
    // Buses to visit and buses known: bits, so that neither recursion nor a list grows with what bridges say.
    std::bitset<256> waiting;
    std::bitset<256> known;
    waiting[first_bus] = known[first_bus] = true;
    while (waiting.any()) {
        std::uint8_t bus = 0;
        while (!waiting[bus]) {
            ++bus;
        }
        waiting[bus] = false;
        ++totals.buses;
        for (std::uint8_t device = 0; device < devices_per_bus; ++device) {
            std::uint8_t functions = 1;
            for (std::uint8_t number = 0; number < functions; ++number) {
                const Function function{space, Address{segment, bus, device, number}};
                const std::uint16_t vendor = function.read(Registers::vendor);
                if (vendor == Registers::no_device) {
                    if (number == 0) {
                        break;  // function 0 is mandatory (PCI 3.0, 6.1)
                    }
                    continue;
                }
                const std::uint8_t header = function.read(Registers::header);
                if (number == 0 && (header & Registers::header_multi_function) != 0) {
                    functions = functions_per_device;
                }
                const Found item = describe(function, vendor, header);
                ++totals.functions;
                found(item);
                if (item.bridge) {
                    const std::uint8_t secondary = function.read(Registers::secondary_bus);
                    if (secondary < first_bus || secondary > last_bus || known[secondary]) {
                        ++totals.refused_bridges;
                    } else {
                        waiting[secondary] = known[secondary] = true;
                    }
                }
            }
        }
    }
    return totals;
}

}  // namespace pv::pci
