// The language of --fault: what it means, and that every mistake is pointed at.
// SPDX-License-Identifier: MIT
#include "faults/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <ostream>
#include <string>

namespace pv::faults {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

Fault understood(std::string_view text) {
    auto fault = parse_fault(text);
    if (!fault) {
        ADD_FAILURE() << text << ": " << fault.error().message;
        return {};
    }
    EXPECT_EQ(fault->text, text);
    return *fault;
}

TEST(FaultPlan, StallAfterForATime) {
    const Fault fault = understood("stall disk0 read after 100 for 8s");
    EXPECT_EQ(fault.disk, "disk0");
    EXPECT_EQ(fault.action, Action::hold);
    EXPECT_EQ(fault.operation, Operation::read);
    EXPECT_EQ(fault.skip, 100U);
    EXPECT_FALSE(fault.count);
    EXPECT_EQ(fault.window, seconds{8});
    EXPECT_FALSE(fault.range);
}

TEST(FaultPlan, TheNthRequestFailsAndNoOther) {
    const Fault fault = understood("fail disk12 write 3 ENOSPC");
    EXPECT_EQ(fault.disk, "disk12");
    EXPECT_EQ(fault.skip, 2U);
    EXPECT_EQ(fault.count, 1U);
    EXPECT_EQ(fault.error, ENOSPC);
}

TEST(FaultPlan, EveryNthCorruptAndReorder) {
    EXPECT_EQ(understood("fail disk0 write every 7 EIO").every, 7U);
    EXPECT_EQ(understood("corrupt disk0 read 2").action, Action::corrupt);
    EXPECT_EQ(understood("reorder disk0 any every 2 times 9").action, Action::reorder);
    EXPECT_FALSE(parse_fault("corrupt disk0 flush"));
    EXPECT_FALSE(parse_fault("stall disk0 read every 0"));
    EXPECT_FALSE(parse_fault("stall disk0 read every 2 every 3"));
}

TEST(FaultPlan, DelayWithRangeAndTimes) {
    const Fault fault = understood("delay disk0 any by 5ms at 1M+64k times 7");
    EXPECT_EQ(fault.delay, milliseconds{5});
    EXPECT_EQ(fault.range, (Range{1U << 20, 64U << 10}));
    EXPECT_EQ(fault.count, 7U);
}

TEST(FaultPlan, ClausesStandInAnyOrderAndErrorsDefaultToEio) {
    EXPECT_EQ(understood("fail disk0 any at 0+512 after 2").error, EIO);
    EXPECT_EQ(understood("fail disk0 flush EPERM times 2 after 1 for 1m").window, std::chrono::minutes{1});
}

TEST(FaultPlan, SpacesDoNotMatter) {
    const auto fault = parse_fault("  stall\tdisk0   read ");
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->text, "stall disk0 read");
    EXPECT_FALSE(fault->window);
}

struct Mistake {
    std::string text;
    std::string message;  ///< part of it
    std::string hint;     ///< part of it
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
    *out << testing::PrintToString(mistake.text.substr(0, 80));
}

class FaultMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(FaultMistakes, PointAtTheWord) {
    const auto fault = parse_fault(GetParam().text);
    ASSERT_FALSE(fault) << GetParam().text;
    EXPECT_EQ(fault.error().status, ExitStatus::usage);
    EXPECT_THAT(fault.error().message, HasSubstr(GetParam().message));
    EXPECT_THAT(fault.error().hint, HasSubstr(GetParam().hint));
    EXPECT_EQ(fault.error().message.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    All, FaultMistakes,
    testing::Values(Mistake{"", "the end is no action", "stall, delay, fail, corrupt or reorder"},
                    Mistake{"stop disk0 read", "word 1, 'stop',", "stall, delay, fail, corrupt or reorder"},
                    Mistake{"stall", "the end is no disk", "disk0"},
                    Mistake{"stall sda read", "word 2, 'sda',", "disk0"},
                    Mistake{"stall disk00 read", "word 2, 'disk00',", "disk0"},
                    Mistake{"stall disk read", "word 2, 'disk',", "disk0"},
                    Mistake{"stall disk0 raed", "word 3, 'raed', is no operation",
                            "read, write, flush, trim or zero"},
                    Mistake{"stall disk0", "the end is no operation", "read, write"},
                    Mistake{"stall disk0 read after", "the end is no number", "after 100"},
                    Mistake{"stall disk0 read after x", "word 5, 'x',", "after 100"},
                    Mistake{"stall disk0 read after -1", "word 5, '-1',", "after 100"},
                    Mistake{"stall disk0 read after 99999999999999999999", "word 5", "after 100"},
                    Mistake{"stall disk0 read for 8", "word 5, '8',", "us, ms, s or m"},
                    Mistake{"stall disk0 read for 0s", "word 5, '0s',", "1us"},
                    Mistake{"stall disk0 read for 25000m", "word 5", "24 hours"},
                    Mistake{"stall disk0 read at 1M", "word 5, '1M',", "OFFSET+LENGTH"},
                    Mistake{"stall disk0 read at 1M+0", "word 5", "OFFSET+LENGTH"},
                    Mistake{"stall disk0 read at 16777216T+1", "word 5", "OFFSET+LENGTH"},
                    Mistake{"stall disk0 read at 18446744073709551615+2", "word 5", "OFFSET+LENGTH"},
                    Mistake{"stall disk0 flush at 0+1", "a flush has none", "no 'at'"},
                    Mistake{"stall disk0 read EIO", "word 4, 'EIO',", "'for TIME'"},
                    Mistake{"stall disk0 read by 5ms", "word 4, 'by',", "'for TIME'"},
                    Mistake{"fail disk0 read EFOO", "word 4, 'EFOO',", "ENOSPC"},
                    Mistake{"fail disk0 read EROFS", "word 4, 'EROFS',", "EPERM"},
                    Mistake{"fail disk0 read 0", "word 4, '0',", "counted from 1"},
                    Mistake{"fail disk0 read 3 after 2", "word 5, 'after',", "once"},
                    Mistake{"fail disk0 read 3 times 2", "word 5, 'times',", "once"},
                    Mistake{"fail disk0 read EIO EIO", "word 5, 'EIO',", "once"},
                    Mistake{"fail disk0 read times 0", "would catch nothing", "at least 1"},
                    Mistake{"delay disk0 read", "the end does not say how long", "by TIME"},
                    Mistake{"delay disk0 read for 5s", "the end does not say how long", "by TIME"},
                    Mistake{std::string{"stall disk0 \x1b[31m\0x", 19}, "'?[31m?x'", "read, write"},
                    Mistake{std::string(2'000, 'a'), "2000 characters", "at most"}));

TEST(FaultPlan, AnyTextOfTheParserIsAcceptedAgain) {
    for (const char* text :
         {"stall disk0 read after 100 for 8s", "fail disk0 write 3 EIO", "delay disk1 any by 5ms"}) {
        EXPECT_EQ(understood(understood(text).text), understood(text));
    }
}

}  // namespace
}  // namespace pv::faults
