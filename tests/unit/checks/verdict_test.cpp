// The verdict: a finding beats everything, and nothing that is missing passes.
// SPDX-License-Identifier: MIT
#include "checks/verdict.hpp"

#include <gtest/gtest.h>

namespace pv::checks {
namespace {

store::RuleResult result(store::Outcome outcome) {
    store::RuleResult rule;
    rule.rule = "dma-leak";
    rule.outcome = outcome;
    rule.findings = outcome == store::Outcome::broken ? 1 : 0;
    return rule;
}

HostFacts clean() {
    return {.finished = true, .ending = {}, .lost = 0, .not_understood = 0};
}

TEST(Verdict, PassesOnlyWhenNothingIsMissing) {
    const std::vector held = {result(store::Outcome::held)};
    EXPECT_EQ(decide(held, clean()).verdict, store::VerdictKind::pass);
    HostFacts facts = clean();
    facts.lost = 1;
    EXPECT_EQ(decide(held, facts).verdict, store::VerdictKind::incomplete);
    facts = clean();
    facts.not_understood = 1;
    EXPECT_EQ(decide(held, facts).exit_status, 3);
    facts = clean();
    facts.finished = false;
    EXPECT_EQ(decide(held, facts).exit_status, 3);
    EXPECT_EQ(decide(std::vector{result(store::Outcome::not_observed)}, clean()).exit_status, 3);
}

TEST(Verdict, AFindingBeatsWhatIsMissing) {
    HostFacts facts = clean();
    facts.finished = false;
    facts.lost = 7;
    const auto verdict = decide(std::vector{result(store::Outcome::broken)}, facts);
    EXPECT_EQ(verdict.verdict, store::VerdictKind::fail);
    EXPECT_EQ(verdict.exit_status, 1);
}

TEST(Verdict, AdviceNeitherFailsNorIsMissed) {
    for (const store::Outcome outcome : {store::Outcome::broken, store::Outcome::not_observed}) {
        store::RuleResult advice = result(outcome);
        advice.rule = "tlb-overflush";
        EXPECT_EQ(decide(std::vector{advice, result(store::Outcome::held)}, clean()).verdict,
                  store::VerdictKind::pass);
    }
}

TEST(Verdict, TakesFactsFromTheTrace) {
    const auto facts =
        complete_facts({}, {{"outcome", "finished"}, {"lost", "2"}, {"not_understood", "x"}}, true);
    EXPECT_TRUE(*facts.finished);
    EXPECT_EQ(facts.lost, 2U);
    EXPECT_FALSE(*complete_facts({}, {{"outcome", "finished"}}, false).finished);
    EXPECT_FALSE(*complete_facts({}, {{"outcome", "wedged in drain"}}, true).finished);
    EXPECT_FALSE(*complete_facts({}, {}, true).finished);
}

}  // namespace
}  // namespace pv::checks
