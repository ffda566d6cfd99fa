// The CMOS ports of a PC, and what its clock says.
// SPDX-License-Identifier: MIT
#include "boot/wall_clock.hpp"

#include "arch/x86_64/registers.hpp"
#include "base/log.hpp"
#include "base/wall_time.hpp"
#include "device/rtc/rtc.hpp"

namespace pv::boot {
namespace {

// Bit 7 of the index port keeps NMIs off: left clear.
constexpr std::uint16_t index_port = 0x70;
constexpr std::uint16_t data_port = 0x71;
constexpr std::uint8_t registers_max = 0x80;

// An update takes up to 2 ms, and comes once a second.
constexpr Duration patience = Duration::milliseconds(100);

}  // namespace

void start_wall_clock(std::uint8_t century_register) {
    const auto read = [](std::uint8_t number) {
        arch::out8(index_port, number);
        return arch::in8(data_port);
    };
    const std::uint8_t century = century_register < registers_max ? century_register : std::uint8_t{0};
    const auto time = rtc::read_calendar(read, century, Deadline::after(patience));
    if (!time) {
        log::warning("wall clock: the real-time clock is of no use: {}", time.error());
        return;
    }
    set_wall_time({.seconds = rtc::seconds_since_1970(*time)});
    log::info("wall clock: {:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", time->year, time->month, time->day,
              time->hour, time->minute, time->second);
}

}  // namespace pv::boot
