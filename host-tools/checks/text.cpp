// Numbers, times and places in the words of a finding.
// SPDX-License-Identifier: MIT
#include "checks/text.hpp"

#include <fmt/format.h>

#include "checks/model/world.hpp"

namespace pv::checks {

std::string grouped(std::uint64_t number) {
    const std::string digits = fmt::format("{}", number);
    std::string text;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i != 0 && (digits.size() - i) % 3 == 0) {
            text += ',';
        }
        text += digits[i];
    }
    return text;
}

std::string counted(std::uint64_t number, std::string_view plural) {
    return fmt::format("{} {}", grouped(number), number == 1 ? plural.substr(0, plural.size() - 1) : plural);
}

std::string duration(std::int64_t microseconds) {
    if (microseconds < 1'000) {
        return fmt::format("{} µs", microseconds);
    }
    if (microseconds < 1'000'000) {
        return fmt::format("{:.1f} ms", static_cast<double>(microseconds) / 1e3);
    }
    return fmt::format("{:.1f} s", static_cast<double>(microseconds) / 1e6);
}

std::string duration_of(std::uint64_t nanoseconds) {
    return duration(static_cast<std::int64_t>(nanoseconds / 1'000));
}

std::string slack_text(const World& world, std::int64_t host) {
    return fmt::format("slack: the guest's {}, and {} for the host", duration_of(world.guest().slack()),
                       duration(host));
}

std::string where(const World& world, const Place& place) {
    std::string text = fmt::format("{}.{:06} s", place.time / 1'000'000, place.time % 1'000'000);
    if (place.cpu >= 0) {
        text += fmt::format(", cpu {}", place.cpu);
    }
    if (place.pc != 0) {
        const std::string symbol =
            world.context().symbol ? world.context().symbol(place.pc, place.sequence) : std::string();
        text += symbol.empty() ? fmt::format(", at {:#x}", place.pc)
                               : fmt::format(", in {} ({:#x})", symbol, place.pc);
    }
    return text + fmt::format(", event {}", place.sequence);
}

std::string describe(const Command& command) {
    std::string text(operation_name(command.operation));
    text +=
        command.operation == PV_OPERATION_ADMIN || command.operation == PV_OPERATION_OTHER ? " command" : "";
    if (command.bytes && *command.bytes != 0) {
        text += fmt::format(" of {}", counted(*command.bytes, "bytes"));
    }
    return text + fmt::format(" on queue {} (id {:#x})", command.queue, command.id);
}

std::string describe(const Mapping& mapping) {
    const std::string_view direction = mapping.direction == PV_DMA_TO_DEVICE       ? "to the device"
                                       : mapping.direction == PV_DMA_FROM_DEVICE   ? "from the device"
                                       : mapping.direction == PV_DMA_BIDIRECTIONAL ? "both ways"
                                                                                   : "no direction";
    return fmt::format("mapping {}{} at {:#x}, {}",
                       mapping.has_id() ? fmt::format("{:#x}, ", mapping.id) : "of ",
                       counted(mapping.length, "bytes"), mapping.bus, direction);
}

}  // namespace pv::checks
