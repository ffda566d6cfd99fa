// Suppression files: what fits, what has expired, and what is wrong with one.
// SPDX-License-Identifier: MIT
#include "checks/suppress.hpp"

#include <gtest/gtest.h>

#include <string>

#include "checks/analysis.hpp"
#include "checks/findings.hpp"
#include "checks/model/world.hpp"
#include "checks/rule.hpp"

namespace pv::checks {
namespace {

using std::chrono::day;
using std::chrono::month;
using std::chrono::year;

constexpr std::chrono::sys_days today = year{2026} / month{11} / day{21};

Result<SuppressionFile> parse(const std::string& text) {
    return SuppressionFile::parse(text, "known.toml", today);
}

const std::string entry =
    "[[suppress]]\nrule = \"dma-*\"\nplace = \"ext4_*\"\nreason = \"stable pages are off\"\n";

TEST(Suppress, RuleAndPlaceBothHaveToFit) {
    const auto file = parse(entry);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const std::vector<std::string> here = {"0xffffffff81000010", "ext4_writepages+0x10", "ext4_writepages"};
    EXPECT_EQ(file->find("dma-cpu-race", here), 0U);
    EXPECT_EQ(file->find("cmd-lost", here), std::nullopt);
    EXPECT_EQ(file->find("dma-cpu-race", std::vector<std::string>{"xfs_writepages", "disk0"}), std::nullopt);
    EXPECT_EQ(file->find("dma-cpu-race", {}), std::nullopt);
}

TEST(Suppress, TheFirstThatFitsTakesIt) {
    const auto file = parse(entry + "[[suppress]]\nrule = \"*\"\nplace = \"*\"\nreason = \"all\"\n");
    ASSERT_TRUE(file.has_value());
    EXPECT_EQ(file->find("dma-leak", std::vector<std::string>{"ext4_x"}), 0U);
    EXPECT_EQ(file->find("dma-leak", std::vector<std::string>{""}), 1U);
}

TEST(Suppress, FromItsLastDayOnAFindingCountsAgain) {
    const auto tomorrow = parse(entry + "expires = 2026-11-22\n");
    const auto expired = parse(entry + "expires = 2026-11-21\n");
    ASSERT_TRUE(tomorrow.has_value() && expired.has_value());
    const std::vector<std::string> here = {"ext4_x"};
    EXPECT_TRUE(tomorrow->find("dma-leak", here).has_value());
    EXPECT_FALSE(expired->find("dma-leak", here).has_value());
    EXPECT_EQ(complaints(tomorrow->entries()),
              std::vector<std::string>{"known.toml: the suppression of dma-* at 'ext4_*' fitted no finding"});
    EXPECT_EQ(
        complaints(expired->entries()),
        std::vector<std::string>{"known.toml: the suppression of dma-* at 'ext4_*' expired on 2026-11-21"});
}

TEST(Suppress, AFileThatIsNoneSaysWhereAndWhatToDo) {
    const std::pair<std::string, std::string> bad[] = {
        {"", "no [[suppress]]"},
        {"[[suppress]]\nrule = \"dma-leek\"\nplace = \"*\"\nreason = \"x\"\n",
         "known.toml:2:8: no rule is called 'dma-leek'"},
        {"[[suppress]]\nrule = \"dma-leak\"\nreason = \"x\"\n",
         "known.toml:1:1: a suppression without 'place'"},
        {"[[suppress]]\nrule = \"dma-leak\"\nplace = \"*\"\n", "without 'reason'"},
        {"[[suppress]]\nrule = \"dma-leak\"\nplace = \"*\"\nreason = \" \"\n", "'reason' is empty"},
        {entry + "expires = \"2027-01-01\"\n", "known.toml:5:11: 'expires' has a value of the wrong kind"},
        {entry + "until = 2027-01-01\n", "known.toml:5:1: unknown key 'until'"},
        {"suppress = 5\n", "'suppress' is no list of tables"},
        {"[suppress]\nrule = \"x\"\n", "'suppress' is no list of tables"},
        {"[[suppress]\n", "known.toml:1:"},
        {"[[ignore]]\n" + entry, "unknown key 'ignore'"},
    };
    for (const auto& [text, message] : bad) {
        const auto file = parse(text);
        ASSERT_FALSE(file.has_value()) << text;
        EXPECT_NE(file.error().message.find(message), std::string::npos) << file.error().message;
        EXPECT_EQ(file.error().status, ExitStatus::usage);
        EXPECT_FALSE(file.error().hint.empty()) << text;
    }
    std::string many;
    for (std::size_t i = 0; i <= SuppressionFile::most_entries; ++i) {
        many += entry;
    }
    EXPECT_FALSE(parse(many).has_value());
    EXPECT_FALSE(SuppressionFile::read("/does/not/exist").has_value());
}

TEST(Suppress, WhatATraceKeepsOfItIsReadBack) {
    store::Suppressions before{.file = "known.toml",
                               .entries = {{.rule = "dma-*",
                                            .place = "\"quoted\"",
                                            .reason = "\xff is no text",
                                            .expires = "2027-01-01",
                                            .state = store::Suppression::State::used,
                                            .findings = 7}},
                               .of_findings = {0, 0}};
    const auto after = store::parse_suppressions(store::to_text(before));
    ASSERT_TRUE(after.has_value());
    EXPECT_EQ(after->findings(), 7U);
    EXPECT_EQ(after->of_findings, before.of_findings);
    EXPECT_EQ(after->entries[0].place, "\"quoted\"");
    for (const char* bad : {"", "[]", "{}", "{\"entries\":[{}],\"of_findings\":[]}",
                            "{\"entries\":[],\"of_findings\":[0]}", "{\"entries\":5,\"of_findings\":[]}",
                            "{\"entries\":[{\"findings\":1,\"state\":\"lost\"}],\"of_findings\":[]}"}) {
        EXPECT_FALSE(store::parse_suppressions(bad).has_value()) << bad;
    }
}

/// A run in which only findings are made.
class KnownFindings : public testing::Test {
  protected:
    void add(std::uint64_t pc, std::string cause) {
        ++sequence_;
        Draft draft;
        draft.at = {sequence_, sequence_, 0, pc};
        draft.cause = std::move(cause);
        findings_.add(*find_rule("dma-leak"), std::move(draft));
    }

    struct Quiet final : Signals {
        void transfer(const Transfer&) override {}

        void mapped(const Mapping&) override {}

        void unmapped(const Mapping&) override {}

        void submitted(const Command&) override {}

        void taken(const Command&) override {}

        void completed(const Command&) override {}

        void acknowledged(const Command&) override {}

        void closed(const Command&) override {}

        void stray(const StrayCompletion&) override {}

        void doorbell(const Doorbell&) override {}

        void timeline(const Place&, Bdf, std::string_view, std::string) override {}
    };

    Context context_;
    Limits limits_;
    Quiet signals_;
    World world_{context_, limits_, signals_};
    Findings findings_{world_, limits_};
    std::int64_t sequence_ = 0;
};

TEST_F(KnownFindings, FoldedOnesGoWithTheFirstOfTheirCause) {
    for (int i = 0; i < 100; ++i) {
        add(0x10, "one");
    }
    add(0x20, "other");
    const Taken taken = findings_.take([](const store::Finding& finding) {
        return finding.pc == 0x10 ? std::optional<std::uint32_t>(3) : std::nullopt;
    });
    EXPECT_EQ(findings_.suppressed("dma-leak"), 100U);
    EXPECT_EQ(findings_.count("dma-leak"), 101U);
    EXPECT_EQ(taken.counts.at(3), 100U);
    EXPECT_EQ(taken.known.size(), limits_.findings_kept);
    EXPECT_EQ(taken.known_by.size(), taken.known.size());
    ASSERT_EQ(taken.counting.size(), 1U);
    EXPECT_EQ(taken.counting[0].pc, 0x20U);
}

TEST_F(KnownFindings, WithoutAFileAllCount) {
    add(0x20, "b");
    add(0x10, "a");
    const Taken taken = findings_.take();
    EXPECT_EQ(taken.counting.size(), 2U);
    EXPECT_LT(taken.counting[0].sequence, taken.counting[1].sequence);
    EXPECT_TRUE(taken.known.empty());
}

}  // namespace
}  // namespace pv::checks
