// The kernel's console: the first serial port.
// SPDX-License-Identifier: MIT
#include "device/serial/console.hpp"

#include "arch/x86_64/registers.hpp"
#include "base/log.hpp"
#include "device/serial/uart.hpp"
#include "task/lock.hpp"

namespace pv::device::serial {
namespace {

using namespace literals;

struct FirstPort {
    static constexpr std::uint16_t base = 0x3f8;

    static std::uint8_t read(Register r) {
        return arch::in8(static_cast<std::uint16_t>(base + static_cast<int>(r)));
    }

    static void write(Register r, std::uint8_t value) {
        arch::out8(static_cast<std::uint16_t>(base + static_cast<int>(r)), value);
    }
};

constexpr Duration patience = 100_ms;      // for a reader that is only slow
constexpr Duration urgent_patience = 2_s;  // the last words of a machine

constinit task::Guarded<Uart<FirstPort>, task::Rank::console> port{FirstPort{}};

}  // namespace

void start_console() {
    port.unguarded().initialize();
}

std::optional<char> read_console() {
    return port.with([](auto& uart) { return uart.read(); });
}

std::size_t write_console(std::string_view text) {
    // A FIFO's worth at a time: interrupts are off meanwhile.
    return port.with(
        [&](auto& uart) { return uart.write(text.substr(0, fifo_depth), Deadline::after(patience)); });
}

std::uint64_t dropped_characters() {
    return port.with([](auto& uart) { return uart.dropped(); });
}

}  // namespace pv::device::serial

namespace pv::log {

void console_write(std::string_view line, bool urgent) {
    using namespace device::serial;
    if (urgent) {
        // Only when all else has stopped: whoever holds the lock never lets go of it.
        port.unguarded().write_last_line(line, Deadline::after(urgent_patience));
        return;
    }
    port.with([&](auto& uart) { uart.write_line(line, Deadline::after(patience)); });
}

}  // namespace pv::log
