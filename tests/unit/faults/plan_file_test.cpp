// Plans in files: what they mean, and that every mistake is told with its place.
// SPDX-License-Identifier: MIT
#include "faults/plan_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pv::faults {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(FaultPlanFile, FaultsStepsAndExpectations) {
    const auto plan = parse_plan(R"(
description = "reads are held until the controller is reset"

[[fault]]
do = "stall disk0 read after 100"
when = "marker_command_submit"
nth = 20
delay = "3ms"
until = "marker_device_reset"
until-nth = 2
until-delay = "5ms"

[[fault]]
do = "fail disk1 write every 7"

[[step]]
do = "link-down net0"
delay = "2s"

[expect]
verdict = "fail"
rules = ["cmd-lost", "cmd-deadline"]
guest-status = 3
within = "60s"
console = ["recovery \\d+ is over"]
not-console = ["panic"]
true = ["select 1"]
)",
                                 "p.toml");
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(plan->description, "reads are held until the controller is reset");
    ASSERT_EQ(plan->faults.size(), 2U);
    EXPECT_EQ(plan->faults[1].every, 7U);
    ASSERT_EQ(plan->steps.size(), 4U);
    EXPECT_EQ(plan->steps[0].action, Step::Action::arm);
    EXPECT_EQ(plan->steps[0].moment, (Moment{"marker_command_submit", 20, 3ms}));
    EXPECT_EQ(plan->steps[1].action, Step::Action::disarm);
    EXPECT_EQ(plan->steps[1].moment, (Moment{"marker_device_reset", 2, 5ms}));
    EXPECT_EQ(plan->steps[2].fault, 1U);
    EXPECT_EQ(plan->steps[2].moment, Moment{}) << "a fault without a moment is there from the start";
    EXPECT_EQ(plan->steps[3].action, Step::Action::link_down);
    EXPECT_EQ(plan->steps[3].target, "net0");
    EXPECT_EQ(plan->expect.verdict, "fail");
    EXPECT_THAT(*plan->expect.rules, ElementsAre("cmd-deadline", "cmd-lost"));
    EXPECT_EQ(plan->expect.guest_status, 3);
    EXPECT_EQ(plan->expect.within, 60s);
    EXPECT_THAT(plan->expect.console, ElementsAre("recovery \\d+ is over"));
}

struct Mistake {
    const char* text;
    const char* where;
    const char* what;
};

class FaultPlanMistake : public testing::TestWithParam<Mistake> {};

TEST_P(FaultPlanMistake, IsToldWithItsPlaceAndAHint) {
    const auto plan = parse_plan(GetParam().text, "p.toml");
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().status, ExitStatus::usage);
    EXPECT_THAT(plan.error().message, StartsWith(std::string("p.toml") + GetParam().where));
    EXPECT_THAT(plan.error().message, HasSubstr(GetParam().what));
    EXPECT_THAT(plan.error().message, testing::Not(HasSubstr("\n")));
    EXPECT_FALSE(plan.error().hint.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, FaultPlanMistake,
    testing::Values(
        Mistake{"", ": ", "no [[fault]]"},                                                       //
        Mistake{"[[fault]\n", ":1:", ""},                                                        //
        Mistake{"\nfaults = 1\n[expect]\nverdict='pass'", ":2:1:", "unknown key 'faults'"},      //
        Mistake{"fault = 1", ":1:9:", "no list of tables"},                                      //
        Mistake{"[[fault]]\nuntil = 'marker_hello'", ":1:1:", "without 'do'"},                   //
        Mistake{"[[fault]]\ndo = 7", ":2:6:", "wrong kind"},                                     //
        Mistake{"[[fault]]\ndo = 'stall disk0 reed'", ":2:6:", "word 3, 'reed'"},                //
        Mistake{"[[fault]]\ndo = 'stall disk0 read'\nwen = 'x'", ":3:1:", "unknown key 'wen'"},  //
        Mistake{"[[fault]]\ndo = 'stall disk0 read'\nwhen = 'No Event'", ":3:8:", "no name of an event"},
        Mistake{"[[fault]]\ndo = 'stall disk0 read'\nnth = 2", ":3:7:", "does not fit"},  //
        Mistake{"[[fault]]\ndo = 'stall disk0 read'\nwhen = 'a'\nnth = 0", ":4:7:", "does not fit"},
        Mistake{"[[fault]]\ndo = 'stall disk0 read'\ndelay = '5'", ":3:9:", "no time"},      //
        Mistake{"[[fault]]\ndo = 'stall disk0 read'\ndelay = '5ms 3'", ":3:9:", "no time"},  //
        Mistake{"[[step]]\ndo = 'explode disk0'", ":2:6:", "no step"},                       //
        Mistake{"[[step]]\ndo = 'unplug'", ":2:6:", "no step"},                              //
        Mistake{"[[step]]\ndo = 'disconnect'", ":2:6:", "no step"},                          //
        Mistake{"[expect]", ":1:1:", "asks for nothing"},                                    //
        Mistake{"[expect]\nverdict = 'good'", ":2:11:", "no verdict"},                       //
        Mistake{"[expect]\nguest-status = 256", ":2:16:", "0 to 255"},                       //
        Mistake{"[expect]\nconsole = ['(']", ":2:11:", "no regular expression"},             //
        Mistake{"[expect]\nrules = 'x'", ":2:9:", "no list"},                                //
        Mistake{"[expect]\nrules = [1]", ":2:10:", "no text"}));

TEST(FaultPlanFile, HostileTextIsShownHarmless) {
    const auto plan = parse_plan("[[step]]\ndo = '\x1b[2J'", "p.toml");
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().message.find('\x1b'), std::string::npos);
}

TEST(FaultPlanFile, FilesThatAreNotThereOrTooLong) {
    EXPECT_EQ(read_plan("/nonexistent/plan.toml").error().status, ExitStatus::usage);
    EXPECT_EQ(parse_plan(std::string(longest_plan + 1, '#'), "p").error().status, ExitStatus::usage);
}

}  // namespace
}  // namespace pv::faults
