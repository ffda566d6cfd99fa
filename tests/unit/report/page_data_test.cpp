// The page's data: bounded, complete where it says so, and nothing in it can end its element.
// SPDX-License-Identifier: MIT
#include "report/page_data.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "fixture.hpp"

namespace {

using Json = nlohmann::json;

class PageData : public pv::test::ReportTest {
  protected:
    static std::string text(pv::store::Trace trace) {
        pv::Result<std::string> data = pv::report::page_data(trace, "trace.db");
        EXPECT_TRUE(data) << (data ? "" : data.error().message);
        return data.value_or("null");
    }

    static Json page(pv::store::Trace trace) { return Json::parse(text(std::move(trace))); }
};

std::size_t lane(const Json& data, const std::string& name) {
    const Json& lanes = data["timeline"]["lanes"];
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        if (lanes[i]["name"] == name) {
            return i;
        }
    }
    ADD_FAILURE() << "no lane " << name << " in " << lanes.dump();
    return 0;
}

TEST_F(PageData, HasALaneForEachDeviceQueueAndCpu) {
    const Json data = page(sample());
    for (const char* name :
         {"guest", "injected faults", "disk0", "disk0 q1", "disk1 q0", "vCPU 0", "vCPU 1"}) {
        lane(data, name);
    }
    EXPECT_EQ(data["findings"][0]["lane"], lane(data, "disk0"));
    const Json& span = data["timeline"]["spans"][0];
    EXPECT_EQ(span[0], lane(data, "injected faults"));
    EXPECT_EQ(span[1], 1'200'000);
    EXPECT_EQ(span[2], 3'700'000);
}

TEST_F(PageData, DrawsEveryCommandOfAShortRun) {
    const Json data = page(sample({.findings = false, .commands = 500}));
    EXPECT_EQ(data["timeline"]["bars"].size(), 500U);
    EXPECT_EQ(data["latency"]["points"].size(), 500U);
    EXPECT_TRUE(data["timeline"]["notes"].empty()) << data["timeline"]["notes"];
    std::uint64_t commands = 0;
    for (const Json& series : data["latency"]["series"]) {
        commands += series["commands"].get<std::uint64_t>();
    }
    EXPECT_EQ(commands, 500U);
}

TEST_F(PageData, AggregatesALongRunAndKeepsWhatEndedBadly) {
    const std::string data_text = text(sample({.events = 60'000, .commands = 60'000, .queues = 4}));
    EXPECT_LT(data_text.size(), 2'000'000U);
    const Json data = Json::parse(data_text);
    const Json& bars = data["timeline"]["bars"];
    EXPECT_LE(bars.size(), 6'000U);
    EXPECT_GT(bars.size(), 500U);
    const auto bad = std::ranges::count_if(bars, [](const Json& bar) { return bar[4] != 0; });
    pv::store::Trace trace = open();
    const auto statement = trace.prepare("select count(*) from main.command where outcome <> 'completed'");
    ASSERT_TRUE(statement) << statement.error().message;
    auto& counted = const_cast<pv::store::Statement&>(*statement);
    ASSERT_TRUE(counted.step().value_or(false));
    EXPECT_GT(counted.integer(0), 0);
    EXPECT_EQ(bad, counted.integer(0));
    EXPECT_THAT(data["timeline"]["notes"].dump(), testing::HasSubstr("commands are drawn one by one"));

    // The bands count every command.
    std::uint64_t in_bands = 0;
    for (const Json& band : data["timeline"]["density"]) {
        if (band["unit"] == "commands") {
            for (const Json& count : band["counts"]) {
                in_bands += count.get<std::uint64_t>();
            }
        }
    }
    std::uint64_t commands = 0;
    for (const Json& series : data["latency"]["series"]) {
        commands += series["commands"].get<std::uint64_t>();
    }
    EXPECT_EQ(in_bands, commands);
}

TEST_F(PageData, BoundsLanesOfManyQueuesAndCpus) {
    const Json data =
        page(sample({.findings = false, .events = 3'000, .commands = 2'000, .queues = 300, .cpus = 200}));
    EXPECT_LE(data["timeline"]["lanes"].size(), 70U);
    lane(data, "disk0 others");
    lane(data, "other vCPUs");
}

TEST_F(PageData, KeepsKnownFindingsApart) {
    EXPECT_TRUE(page(sample())["suppressions"].is_null());
    const Json data = page(sample({.known = true}, "known.db"));
    ASSERT_EQ(data["findings"].size(), 1U);
    EXPECT_EQ(data["findings_total"], 1);
    ASSERT_EQ(data["suppressions"]["findings"].size(), 1U);
    EXPECT_EQ(data["suppressions"]["findings"][0]["rule"], "cmd-deadline");
    EXPECT_EQ(data["suppressions"]["entries"][1]["findings"], 5);
    EXPECT_NE(data["findings"][0]["id"], data["suppressions"]["findings"][0]["id"]);
}

TEST_F(PageData, CannotEndItsElement) {
    const std::string data = text(sample({.hostile = true}));
    EXPECT_EQ(data.find('<'), std::string::npos);
    for (const char character : data) {
        ASSERT_TRUE(character >= 0x20 && character < 0x7f) << static_cast<int>(character);
    }
    const Json parsed = Json::parse(data);
    const std::string title = parsed["title"];
    EXPECT_THAT(title, testing::HasSubstr("</script><img src=x"));
    EXPECT_THAT(title, testing::HasSubstr("\\u{202e}"));
    EXPECT_THAT(parsed["console"]["text"].get<std::string>(), testing::HasSubstr("\\x1b[31mred"));
}

TEST_F(PageData, PutsTheAnalysisTimeLineOnItsDevice) {
    const Json data = page(sample());
    std::vector<std::string> what;
    for (const Json& mark : data["timeline"]["marks"]) {
        if (mark[0] == lane(data, "disk0") && mark[5] == 2) {
            what.push_back(mark[2]);
        }
    }
    EXPECT_EQ(what, (std::vector<std::string>{"fault begin", "timeout", "abort", "reset", "fault end"}));
}

}  // namespace
