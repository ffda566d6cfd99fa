// The serial port that stops taking characters: waited for with a bound, dropped, counted, reported.
// SPDX-License-Identifier: MIT
#include "device/serial/uart.hpp"

#include <gtest/gtest.h>

#include <string>

#include "hosted/control.hpp"

namespace pv::device::serial {
namespace {

using namespace literals;

struct Wire {
    std::string sent;
    int room = 1 << 20;  ///< characters it still takes
    std::uint64_t polls = 0;
};

struct FakePorts {
    Wire* wire;

    std::uint8_t read(Register) const {
        ++wire->polls;
        return wire->room > 0 ? status_transmit_empty : 0;
    }

    void write(Register r, std::uint8_t value) const {
        if (r == Register::data) {
            wire->sent += static_cast<char>(value);
            --wire->room;
        }
    }
};

TEST(Uart, ReadsWhatCameIn) {
    struct Typed {
        std::string* text;

        std::uint8_t read(Register r) const {
            if (r == Register::line_status) {
                return text->empty() ? status_transmit_empty : status_transmit_empty | status_data_ready;
            }
            const char c = text->front();
            text->erase(0, 1);
            return static_cast<std::uint8_t>(c);
        }

        void write(Register, std::uint8_t) const {}
    };

    std::string text = "ok";
    Uart uart(Typed{&text});
    EXPECT_EQ(uart.read(), 'o');
    EXPECT_EQ(uart.read(), 'k');
    EXPECT_EQ(uart.read(), std::nullopt);
}

TEST(Uart, WritesLinesAndLooksOnceAFifo) {
    Wire wire;
    Uart uart(FakePorts{&wire});
    uart.write_line(std::string(30, 'x'), Deadline::after(1_s));
    EXPECT_EQ(wire.sent, std::string(30, 'x') + "\r\n");
    EXPECT_EQ(wire.polls, 2U);
    EXPECT_EQ(uart.dropped(), 0U);
}

TEST(Uart, StuckPortIsWaitedForOnceAndReported) {
    Wire wire;
    wire.room = 16;
    Uart uart(FakePorts{&wire});
    const Instant begin = now();
    uart.write_line(std::string(100, 'a'), Deadline::after(20_ms));
    EXPECT_GE(now() - begin, 20_ms);
    EXPECT_EQ(uart.dropped(), 86U);
    const Instant again = now();
    for (int i = 0; i < 1000; ++i) {
        uart.write_line("more", Deadline::after(20_ms));
    }
    EXPECT_LT(now() - again, 1_s) << "a port known to be stuck is not waited for";
    EXPECT_EQ(uart.dropped(), 86U + 6000U);
    wire.room = 1000;
    wire.sent.clear();
    uart.write_line("back", Deadline::after(20_ms));
    EXPECT_EQ(wire.sent, "\r\n[serial: 6086 characters dropped]\r\nback\r\n");
    EXPECT_EQ(uart.dropped(), 6086U);
}

// Before there is a clock no deadline ever passes.
// A reader that was slow once is not given up for good: how a machine ended is worth a wait.
TEST(Uart, LastWordsWaitForAPortThatWasStuck) {
    struct Slow {
        Wire* wire;

        std::uint8_t read(Register) const {
            // It takes characters again after so many more looks, for ever.
            wire->room = wire->polls-- == 0 ? 1 << 20 : wire->room;
            return wire->room > 0 ? status_transmit_empty : 0;
        }

        void write(Register r, std::uint8_t value) const { FakePorts{wire}.write(r, value); }
    };

    Wire wire;
    wire.room = 16;
    wire.polls = ~std::uint64_t{0};
    Uart uart(Slow{&wire});
    uart.write_line(std::string(100, 'a'), Deadline::after(1_ms));
    ASSERT_EQ(uart.dropped(), 102U - 16);
    wire.polls = 1000;
    uart.write_last_line("the end", Deadline::after(10_s));
    EXPECT_EQ(wire.sent, std::string(16, 'a') + "\r\n[serial: 86 characters dropped]\r\nthe end\r\n");
}

TEST(Uart, StuckPortEndsWithoutAClock) {
    hosted::hold_clock(Instant());
    Wire wire;
    wire.room = 0;
    Uart uart(FakePorts{&wire});
    uart.write_line("text", Deadline::after(100_ms));
    EXPECT_EQ(uart.dropped(), 6U);
    EXPECT_LE(wire.polls, 1'000'000U);
    hosted::release_clock();
}

}  // namespace
}  // namespace pv::device::serial
