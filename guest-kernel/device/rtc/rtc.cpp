// The MC146818's registers, and the calendar they spell.
// SPDX-License-Identifier: MIT
#include "device/rtc/rtc.hpp"

#include <array>
#include <optional>

namespace pv::rtc {
namespace {

struct Registers {
    static constexpr std::uint8_t seconds = 0x00;
    static constexpr std::uint8_t minutes = 0x02;
    static constexpr std::uint8_t hours = 0x04;
    static constexpr std::uint8_t day = 0x07;
    static constexpr std::uint8_t month = 0x08;
    static constexpr std::uint8_t year = 0x09;

    static constexpr std::uint8_t a = 0x0a;
    static constexpr std::uint8_t a_update_in_progress = 1U << 7;
    static constexpr std::uint8_t b = 0x0b;
    static constexpr std::uint8_t b_24_hours = 1U << 1;
    static constexpr std::uint8_t b_binary = 1U << 2;
    static constexpr std::uint8_t d = 0x0d;
    static constexpr std::uint8_t d_valid = 1U << 7;

    static constexpr std::uint8_t hours_afternoon = 1U << 7;  ///< in 12-hour mode
};

/// The registers as they stood at one moment, not yet understood.
struct Reading {
    std::uint8_t second = 0;
    std::uint8_t minute = 0;
    std::uint8_t hour = 0;
    std::uint8_t day = 0;
    std::uint8_t month = 0;
    std::uint8_t year = 0;
    std::uint8_t century = 0;

    friend constexpr bool operator==(const Reading&, const Reading&) = default;
};

using Read = FunctionRef<std::uint8_t(std::uint8_t)>;

// Nothing while the chip is changing them.
std::optional<Reading> read_once(Read read, std::uint8_t century) {
    if ((read(Registers::a) & Registers::a_update_in_progress) != 0) {
        return std::nullopt;
    }
    return Reading{.second = read(Registers::seconds),
                   .minute = read(Registers::minutes),
                   .hour = read(Registers::hours),
                   .day = read(Registers::day),
                   .month = read(Registers::month),
                   .year = read(Registers::year),
                   .century = century == 0 ? std::uint8_t{0} : read(century)};
}

constexpr bool is_leap(unsigned year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

constexpr unsigned days_in(unsigned year, unsigned month) {
    constexpr std::array<std::uint8_t, 12> days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year) ? 1U : 0U);
}

// One register's number; nothing when it is not one, or is more than `most`.
std::optional<unsigned> number(std::uint8_t raw, bool binary, unsigned most) {
    if (!binary && ((raw & 0xfU) > 9 || raw >> 4 > 9)) {
        return std::nullopt;
    }
    const unsigned value = binary ? raw : (raw >> 4) * 10U + (raw & 0xfU);
    return value <= most ? std::optional(value) : std::nullopt;
}

std::optional<unsigned> hour_of(std::uint8_t raw, bool binary, bool has_24_hours) {
    if (has_24_hours) {
        return number(raw, binary, 23);
    }
    const bool afternoon = (raw & Registers::hours_afternoon) != 0;
    const auto hour = number(static_cast<std::uint8_t>(raw & ~Registers::hours_afternoon), binary, 12);
    if (!hour || *hour == 0) {
        return std::nullopt;
    }
    return *hour % 12 + (afternoon ? 12 : 0);
}

std::optional<unsigned> year_of(const Reading& reading, bool binary, bool has_century) {
    const auto in_century = number(reading.year, binary, 99);
    if (!in_century) {
        return std::nullopt;
    }
    if (!has_century) {
        return *in_century + (*in_century >= 70 ? 1900 : 2000);
    }
    const auto century = number(reading.century, binary, 99);
    if (!century || *century * 100 + *in_century < 1970) {
        return std::nullopt;
    }
    return *century * 100 + *in_century;
}

Result<Calendar> understand(const Reading& reading, std::uint8_t mode, bool has_century) {
    const bool binary = (mode & Registers::b_binary) != 0;
    const auto second = number(reading.second, binary, 59);
    const auto minute = number(reading.minute, binary, 59);
    const auto hour = hour_of(reading.hour, binary, (mode & Registers::b_24_hours) != 0);
    const auto day = number(reading.day, binary, 31);
    const auto month = number(reading.month, binary, 12);
    const auto year = year_of(reading, binary, has_century);
    if (!second || !minute || !hour || !day || !month || !year || *month == 0 || *day == 0 ||
        *day > days_in(*year, *month)) {
        return fail(Error::corrupt);
    }
    return Calendar{.year = static_cast<std::uint16_t>(*year),
                    .month = static_cast<std::uint8_t>(*month),
                    .day = static_cast<std::uint8_t>(*day),
                    .hour = static_cast<std::uint8_t>(*hour),
                    .minute = static_cast<std::uint8_t>(*minute),
                    .second = static_cast<std::uint8_t>(*second)};
}

}  // namespace

std::int64_t seconds_since_1970(const Calendar& time) {
    std::int64_t days = time.day - 1;
    for (unsigned month = 1; month < time.month; ++month) {
        days += days_in(time.year, month);
    }
    for (unsigned year = 1970; year < time.year; ++year) {
        days += is_leap(year) ? 366 : 365;
    }
    return ((days * 24 + time.hour) * 60 + time.minute) * 60 + time.second;
}

Result<Calendar> read_calendar(Read read_register, std::uint8_t century, Deadline deadline) {
    std::optional<Reading> before;
    for (;;) {
        const std::optional<Reading> reading = read_once(read_register, century);
        if (reading && reading == before) {
            break;
        }
        before = reading;
        if (deadline.expired()) {
            return fail(Error::timed_out);
        }
    }
    if ((read_register(Registers::d) & Registers::d_valid) == 0) {
        return fail(Error::corrupt);
    }
    return understand(*before, read_register(Registers::b), century != 0);
}

}  // namespace pv::rtc
