// The real-time clock against a model of the chip: its update can come between any two reads.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>

#include "base/deadline.hpp"
#include "device/rtc/rtc.hpp"

namespace pv::rtc {
namespace {

constexpr std::uint8_t century_register = 0x32;

std::uint8_t bcd(unsigned value) {
    return static_cast<std::uint8_t>(value / 10 << 4 | value % 10);
}

// A chip whose registers change at one chosen read: at once, or with the bit set for a while first.
class Chip {
  public:
    explicit Chip(const Calendar& first) { set(first); }

    void set(const Calendar& time) {
        const auto put = [this](unsigned value) {
            return binary ? static_cast<std::uint8_t>(value) : bcd(value);
        };
        registers[0x00] = put(time.second);
        registers[0x02] = put(time.minute);
        registers[0x04] = put(time.hour);
        if (!has_24_hours) {
            registers[0x04] = put((time.hour + 11U) % 12 + 1);
            registers[0x04] |= time.hour >= 12 ? 0x80 : 0;
        }
        registers[0x07] = put(time.day);
        registers[0x08] = put(time.month);
        registers[0x09] = put(time.year % 100U);
        registers[century_register] = put(time.year / 100U);
        registers[0x0b] = static_cast<std::uint8_t>((binary ? 4 : 0) | (has_24_hours ? 2 : 0));
        registers[0x0d] = 0x80;
    }

    std::uint8_t read(std::uint8_t number) {
        if (reads++ == update_at) {
            set(second);
        }
        if (number == 0x0a) {
            return reads > update_at && reads <= update_at + busy_reads ? 0x80 : 0x26;
        }
        return registers.at(number);
    }

    Result<Calendar> ask(std::uint8_t century = century_register) {
        return read_calendar([this](std::uint8_t number) { return read(number); }, century,
                             Deadline::after(Duration::milliseconds(50)));
    }

    bool binary = false;
    bool has_24_hours = true;
    std::array<std::uint8_t, 128> registers{};
    Calendar second;
    unsigned update_at = ~0U;
    unsigned busy_reads = 0;
    unsigned reads = 0;
};

constexpr Calendar before{2026, 12, 31, 23, 59, 59};
constexpr Calendar after{2027, 1, 1, 0, 0, 0};

// LEDGER H10: whichever read the update comes before, the answer is a time that was.
TEST(Rtc, UpdateBetweenAnyTwoReadsNeverTears) {
    std::set<Calendar> answers;
    for (unsigned at = 0; at < 30; ++at) {
        for (const unsigned busy : {0U, 1U, 9U}) {
            Chip chip(before);
            chip.second = after;
            chip.update_at = at;
            chip.busy_reads = busy;
            const auto time = chip.ask();
            ASSERT_TRUE(time.has_value()) << at;
            EXPECT_TRUE(*time == before || *time == after) << "update before read " << at << " busy " << busy;
            answers.insert(*time);
        }
    }
    EXPECT_EQ(answers.size(), 2U);
}

// The date is only read while the bit is clear: registers in the middle of an update may be anything.
TEST(Rtc, IsNotReadDuringAnUpdate) {
    Chip chip(after);
    chip.second = after;
    chip.update_at = 0;
    chip.busy_reads = 500;
    unsigned too_early = 0;
    const auto time = read_calendar(
        [&](std::uint8_t number) {
            const std::uint8_t value = chip.read(number);
            too_early += number != 0x0a && chip.reads <= 500 ? 1 : 0;
            return value;
        },
        0, Deadline::after(Duration::seconds(1)));
    EXPECT_EQ(time, Result<Calendar>(after));
    EXPECT_EQ(too_early, 0U);
}

TEST(Rtc, ClockThatNeverStandsStillTimesOut) {
    std::uint8_t tick = 0;
    const auto restless = [&](std::uint8_t number) { return number == 0x0a ? std::uint8_t{0} : ++tick; };
    EXPECT_EQ(read_calendar(restless, 0, Deadline::after(Duration::milliseconds(5))).error(),
              Error::timed_out);
    // No chip there: every register reads as all ones, an update that never ends.
    EXPECT_EQ(read_calendar([](std::uint8_t) { return std::uint8_t{0xff}; }, 0,
                            Deadline::after(Duration::milliseconds(5)))
                  .error(),
              Error::timed_out);
}

TEST(Rtc, UnderstandsEachMode) {
    for (const bool binary : {false, true}) {
        for (const bool has_24_hours : {false, true}) {
            for (unsigned hour = 0; hour < 24; ++hour) {
                Chip chip(before);
                chip.binary = binary;
                chip.has_24_hours = has_24_hours;
                const Calendar time{2024, 2, 29, static_cast<std::uint8_t>(hour), 7, 48};
                chip.set(time);
                EXPECT_EQ(chip.ask(), Result<Calendar>(time)) << binary << has_24_hours << hour;
            }
        }
    }
}

TEST(Rtc, YearsWithoutACenturyAre1970To2069) {
    Chip chip({1970, 1, 1, 0, 0, 0});
    EXPECT_EQ(chip.ask(0)->year, 1970);
    chip.set({2069, 1, 1, 0, 0, 0});
    EXPECT_EQ(chip.ask(0)->year, 2069);
}

TEST(Rtc, NonsenseIsRefused) {
    const auto refused = [](auto change) {
        Chip chip(before);
        change(chip.registers);
        const auto time = chip.ask();
        return !time.has_value() && time.error() == Error::corrupt;
    };
    EXPECT_TRUE(refused([](auto& r) { r[0x00] = 0x60; })) << "second";
    EXPECT_TRUE(refused([](auto& r) { r[0x02] = 0x5a; })) << "no decimal digit";
    EXPECT_TRUE(refused([](auto& r) { r[0x04] = 0x24; })) << "hour";
    EXPECT_TRUE(refused([](auto& r) { r[0x07] = 0; })) << "day";
    EXPECT_TRUE(refused([](auto& r) { r[0x08] = 0x13; })) << "month";
    EXPECT_TRUE(refused([](auto& r) { r[0x08] = 0; })) << "month 0";
    EXPECT_TRUE(refused([](auto& r) { r[0x08] = 0x11; })) << "31 November";
    EXPECT_TRUE(refused([](auto& r) { r[century_register] = 0x18; })) << "before 1970";
    EXPECT_TRUE(refused([](auto& r) { r[0x0d] = 0; })) << "battery";
    EXPECT_TRUE(refused([](auto& r) {
        r[0x0b] = 0;
        r[0x04] = 0;
    })) << "hour 0 of 12";
}

TEST(Rtc, CountsSeconds) {
    EXPECT_EQ(seconds_since_1970({1970, 1, 1, 0, 0, 0}), 0);
    EXPECT_EQ(seconds_since_1970({2000, 2, 29, 12, 34, 56}), 951'827'696);
    EXPECT_EQ(seconds_since_1970({2038, 1, 19, 3, 14, 8}), 2'147'483'648);
    EXPECT_EQ(seconds_since_1970({2100, 3, 1, 0, 0, 0}), 4'107'542'400);
}

}  // namespace
}  // namespace pv::rtc
