// One slot that devices are put into and taken out of.
// SPDX-License-Identifier: MIT
#include "device/pci/slot.hpp"

#include "device/pci/capability.hpp"
#include "task/thread.hpp"

namespace pv::pci {
namespace {

using namespace literals;
using Bits = SlotRegisters;

constexpr Duration command_time = 1_s;
constexpr std::uint16_t all_ones = 0xffff;
constexpr std::uint16_t notifications =
    Bits::say_attention | Bits::say_presence | Bits::say_link | Bits::interrupts;

}  // namespace

std::optional<Slot> Slot::of(const Function& port) {
    const auto express = find_capability(port, CapabilityId::express);
    if (!express) {
        return std::nullopt;
    }
    const std::uint16_t flags = port.read(express->reg<std::uint16_t>(Bits::flags));
    const std::uint32_t capabilities = port.read(express->reg<std::uint32_t>(Bits::capabilities));
    if ((flags & Bits::flags_slot) == 0 || (capabilities & Bits::hot_plug_capable) == 0) {
        return std::nullopt;
    }
    return Slot{port, express->offset, capabilities};
}

std::size_t Slot::message() const {
    return port_.read(reg(Bits::flags)) >> Bits::flags_message_shift & Bits::flags_message_mask;
}

bool Slot::leads_to(const Address& address) const {
    return address.segment == port_.address().segment &&
           address.bus >= port_.read(Registers::secondary_bus) &&
           address.bus <= port_.read(Registers::subordinate_bus);
}

void Slot::begin() {
    (void)take_events();
    // Without waiting: a port in good order has completed it long before the next.
    (void)command(0, notifications);
}

void Slot::end() {
    (void)command(notifications, 0);
}

std::uint16_t Slot::take_events() {
    const std::uint16_t status = port_.read(reg(Bits::status));
    if (status == all_ones) {
        return 0;
    }
    // Only what was seen is cleared: what comes in between is for the next time.
    const auto seen = static_cast<std::uint16_t>(status & Bits::events);
    if (seen != 0) {
        port_.write(reg(Bits::status), seen);
    }
    return static_cast<std::uint16_t>(seen & ~Bits::command_completed);
}

bool Slot::occupied() const {
    const std::uint16_t status = port_.read(reg(Bits::status));
    return status != all_ones && (status & Bits::occupied) != 0;
}

Result<> Slot::show(Light light) {
    return command(Bits::power_indicator, static_cast<std::uint16_t>(light));
}

Result<> Slot::power_off() {
    const bool power = (capabilities_ & Bits::has_power_controller) != 0;
    return command(Bits::power_indicator,
                   static_cast<std::uint16_t>(Bits::power_indicator_off | (power ? Bits::power_off : 0)));
}

Result<> Slot::command(std::uint16_t clear, std::uint16_t set) {
    const bool completes = (capabilities_ & Bits::no_command_completed) == 0;
    const std::uint16_t old = port_.read(reg(Bits::control));
    if (old == all_ones) {
        return fail(Error::device_failed);
    }
    if (completes) {
        port_.write(reg(Bits::status), Bits::command_completed);
    }
    port_.write(reg(Bits::control), static_cast<std::uint16_t>((old & ~clear) | set));
    const Deadline deadline = Deadline::after(command_time);
    while (completes && (port_.read(reg(Bits::status)) & Bits::command_completed) == 0) {
        if (deadline.expired()) {
            return fail(Error::timed_out);
        }
        task::sleep(1_ms);
    }
    return {};
}

}  // namespace pv::pci
