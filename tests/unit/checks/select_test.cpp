// Which rules --rules selects, and what it says to words it does not know.
// SPDX-License-Identifier: MIT
#include "checks/select.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace pv::checks {
namespace {

std::vector<std::string> selected(std::vector<std::string> words) {
    std::vector<std::string> names;
    const auto rules = select_rules(words);
    EXPECT_TRUE(rules.has_value());
    if (rules.has_value()) {
        for (const RuleInfo* rule : *rules) {
            names.emplace_back(rule->name);
        }
    }
    return names;
}

TEST(SelectRules, EveryRuleByDefault) {
    EXPECT_EQ(selected({}).size(), rules().size());
    EXPECT_EQ(selected({"all"}), selected({}));
}

TEST(SelectRules, PatternsAndExclusions) {
    EXPECT_EQ(selected({"mmio-*"}), (std::vector<std::string>{"mmio-unmapped", "mmio-width", "mmio-order",
                                                              "mmio-doorbell", "mmio-poll-unbounded"}));
    EXPECT_EQ(selected({"cmd-*,-cmd-lost", "flush-order"}),
              (std::vector<std::string>{"cmd-deadline", "cmd-duplicate", "cmd-late", "cmd-recovery",
                                        "flush-order"}));
    EXPECT_EQ(selected({"-dma-leak"}).size(), rules().size() - 1);
    EXPECT_EQ(selected({"*-un*"}),
              (std::vector<std::string>{"dma-after-unmap", "dma-unstable-data", "mmio-unmapped",
                                        "mmio-poll-unbounded", "wait-unbounded"}));
}

TEST(SelectRules, WithoutMarkersLeavesOutWhatNeedsThem) {
    const auto names = selected({"no-markers"});
    EXPECT_EQ(std::ranges::count(names, "dma-outside-mapping"), 0);
    EXPECT_EQ(std::ranges::count(names, "mmio-unmapped"), 1);
}

TEST(SelectRules, KnowsWhatWasAskedForByName) {
    const RuleInfo& rule = *find_rule("iommu-fault");
    const auto named = [&](std::vector<std::string> words) { return is_named(rule, words); };
    EXPECT_TRUE(named({"dma-leak,iommu-*"}));
    EXPECT_TRUE(named({"iommu-fault"}));
    EXPECT_FALSE(named({}));
    EXPECT_FALSE(named({"all", "no-markers"}));
    EXPECT_FALSE(named({"dma-*,-iommu-fault"}));
}

TEST(SelectRules, UnknownWordNamesTheNearest) {
    const auto wrong = select_rules(std::vector<std::string>{"dma-leek"});
    ASSERT_FALSE(wrong.has_value());
    EXPECT_EQ(wrong.error().status, ExitStatus::usage);
    EXPECT_NE(wrong.error().hint.find("dma-leak"), std::string::npos);
    EXPECT_FALSE(select_rules(std::vector<std::string>{"dma-leak,-dma-*"}).has_value());
}

}  // namespace
}  // namespace pv::checks
