// When steps are due.
// SPDX-License-Identifier: MIT
#include "faults/schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pv::faults {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

const Schedule::Clock::time_point start{};

Step step(std::string text, Moment moment) {
    return {.action = Step::Action::arm,
            .fault = 0,
            .target = "disk0",
            .moment = std::move(moment),
            .text = std::move(text)};
}

std::vector<std::string> texts(const std::vector<Step>& steps) {
    std::vector<std::string> all;
    for (const Step& one : steps) {
        all.push_back(one.text);
    }
    return all;
}

TEST(FaultSchedule, NothingIsDueBeforeTheStart) {
    Schedule schedule({step("now", {})});
    EXPECT_THAT(schedule.due(start + 1h), IsEmpty());
    schedule.begin(start);
    EXPECT_THAT(texts(schedule.due(start)), ElementsAre("now"));
    EXPECT_THAT(schedule.left(), IsEmpty());
}

TEST(FaultSchedule, DelaysCountFromTheirMomentAndOrderSteps) {
    Schedule schedule({step("late", {"", 1, 2s}), step("early", {"", 1, 1s})});
    schedule.begin(start);
    EXPECT_EQ(schedule.next(), start + 1s);
    EXPECT_THAT(schedule.due(start + 999ms), IsEmpty());
    EXPECT_THAT(texts(schedule.due(start + 5s)), ElementsAre("early", "late"));
    EXPECT_EQ(schedule.next(), std::nullopt);
}

TEST(FaultSchedule, TheNthEventCountsAndNoLaterOneMovesIt) {
    Schedule schedule({step("third", {"marker_command_abort", 3, 10ms})});
    schedule.begin(start);
    EXPECT_TRUE(schedule.waits_for("marker_command_abort"));
    EXPECT_FALSE(schedule.waits_for("marker_hello"));
    for (int i = 1; i <= 5; ++i) {
        schedule.saw("marker_hello", start);
        schedule.saw("marker_command_abort", start + i * 1s);
    }
    EXPECT_FALSE(schedule.waits_for("marker_command_abort"));
    EXPECT_EQ(schedule.next(), start + 3s + 10ms);
    EXPECT_THAT(texts(schedule.due(start + 4s)), ElementsAre("third"));
}

TEST(FaultSchedule, StepsWhoseMomentNeverCameAreLeft) {
    Schedule schedule({step("never", {"marker_hello", 2, 0s})});
    schedule.begin(start);
    schedule.saw("marker_hello", start);
    EXPECT_THAT(schedule.due(start + 24h), IsEmpty());
    EXPECT_THAT(texts(schedule.left()), ElementsAre("never"));
}

}  // namespace
}  // namespace pv::faults
