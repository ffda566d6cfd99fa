// What bridges lead on to the functions behind them.
// SPDX-License-Identifier: MIT
#include "device/pci/windows.hpp"

#include <array>
#include <cstddef>
#include <optional>

#include "device/pci/regs.hpp"
#include "device/pci/scan.hpp"

namespace pv::pci {
namespace {

constexpr std::size_t buses = 256;
constexpr std::uint64_t window_mask = 0xfff0;
constexpr std::uint64_t last_of_megabyte = 0xfffff;

/// In a window whose limit is below its base lies nothing.
bool holds(std::uint64_t base, std::uint64_t limit, const Bar& bar) {
    return bar.address.value() >= base && bar.address.value() + (bar.size - 1) <= limit;
}

bool leads(const Function& bridge, const Bar& bar) {
    const auto place = [](std::uint16_t value) { return (std::uint64_t{value} & window_mask) << 16; };
    const std::uint64_t high_base = std::uint64_t{bridge.read(Registers::prefetchable_base_high)} << 32;
    const std::uint64_t high_limit = std::uint64_t{bridge.read(Registers::prefetchable_limit_high)} << 32;
    return holds(place(bridge.read(Registers::memory_base)),
                 place(bridge.read(Registers::memory_limit)) | last_of_megabyte, bar) ||
           holds(high_base | place(bridge.read(Registers::prefetchable_base)),
                 high_limit | place(bridge.read(Registers::prefetchable_limit)) | last_of_megabyte, bar);
}

}  // namespace

bool is_led_to(const Function& function, const Bar& bar) {
    std::uint8_t bus = function.address().bus;
    if (bus == 0) {
        return true;
    }
    std::array<std::optional<Address>, buses> above{};
    scan(function.space(), function.address().segment, 0, buses - 1, [&](const Found& found) {
        const Function bridge{function.space(), found.address};
        const std::uint8_t secondary = found.bridge ? bridge.read(Registers::secondary_bus) : 0;
        if (secondary != 0 && !above[secondary]) {
            above[secondary] = found.address;
        }
    });
    // Bounded: a bridge may say something else each time it is asked, and lead back to itself.
    for (std::size_t steps = 0; bus != 0 && above[bus] && steps < buses; ++steps) {
        if (!leads(Function{function.space(), *above[bus]}, bar)) {
            return false;
        }
        bus = above[bus]->bus;
    }
    return true;
}

}  // namespace pv::pci
