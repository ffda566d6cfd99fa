// The time line on a terminal: what comes many times within a moment is told once, and nothing else is.
// SPDX-License-Identifier: MIT
#include "report/terminal_timeline.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t disk0 = 0x80;
constexpr std::uint32_t disk1 = 0x88;

class TerminalTimeline : public testing::Test {
  protected:
    void add(std::int64_t time, std::uint32_t bdf, const std::string& what, const std::string& detail) {
        summary_.timeline.push_back(
            {.sequence = 0, .time = time, .bdf = bdf, .what = what, .detail = detail});
    }

    std::string text() {
        std::string result;
        for (const std::string& line : pv::report::timeline_lines(summary_, 120)) {
            result += line + "\n";
        }
        return result;
    }

    pv::report::Summary summary_;
};

TEST_F(TerminalTimeline, TellsABurstOnce) {
    for (std::int64_t i = 0; i < 500; ++i) {
        add(1'000'000 + i * 100, disk0, "fault begin", "stall disk0 read");
    }
    add(2'000'000, disk0, "timeout", "read on queue 1");
    EXPECT_THAT(text(), HasSubstr("fault begin  500 times within 49.9 ms: stall disk0 read\n"));
    EXPECT_THAT(text(), HasSubstr("timeout      read on queue 1\n"));
    EXPECT_THAT(text(), Not(HasSubstr("more\n")));
}

TEST_F(TerminalTimeline, SaysThatOthersDiffer) {
    add(1'000'000, disk0, "timeout", "read 1");
    add(1'000'010, disk0, "abort", "of read 1");
    add(1'000'020, disk0, "timeout", "read 2");
    EXPECT_THAT(text(), HasSubstr("timeout      2 within 20 µs, the first: read 1\n"));
    EXPECT_THAT(text(), HasSubstr("abort        of read 1\n"));
}

TEST_F(TerminalTimeline, KeepsDevicesAndMomentsApart) {
    add(1'000'000, disk0, "timeout", "read");
    add(1'000'010, disk1, "timeout", "read");
    add(1'500'000, disk0, "timeout", "read");
    EXPECT_THAT(text(), Not(HasSubstr("within")));
}

TEST_F(TerminalTimeline, LeavesOutTheMiddleOfWhatIsStillTooLong) {
    for (std::int64_t i = 0; i < 100; ++i) {
        add(i * 1'000'000, disk0, "timeout", "read");
    }
    EXPECT_THAT(text(), HasSubstr("  ... 60 more\n"));
}

}  // namespace
