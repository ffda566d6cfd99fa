// From what the rules found to the verdict.
// SPDX-License-Identifier: MIT
#include "checks/verdict.hpp"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "checks/rule.hpp"
#include "checks/text.hpp"

namespace pv::checks {
namespace {

std::optional<std::uint64_t> number(const std::map<std::string, std::string>& meta, const std::string& key) {
    const auto found = meta.find(key);
    if (found == meta.end()) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    const char* end = found->second.data() + found->second.size();
    const auto [rest, error] = std::from_chars(found->second.data(), end, value);
    return error == std::errc() && rest == end ? std::optional(value) : std::nullopt;
}

}  // namespace

HostFacts complete_facts(HostFacts given, const std::map<std::string, std::string>& meta, bool whole) {
    const auto outcome = meta.find("outcome");
    if (!given.finished) {
        given.finished = whole && outcome != meta.end() && outcome->second == "finished";
        if (!*given.finished && given.ending.empty()) {
            given.ending = !whole                  ? "the recording was cut off"
                           : outcome == meta.end() ? "the trace does not say how the run ended"
                                                   : outcome->second.substr(0, 200);
        }
    }
    given.lost = given.lost ? given.lost : number(meta, "lost");
    given.not_understood = given.not_understood ? given.not_understood : number(meta, "not_understood");
    return given;
}

store::Verdict decide(std::span<const store::RuleResult> results, const HostFacts& facts,
                      std::uint64_t suppressed) {
    std::vector<std::string> missing;
    std::uint64_t findings = 0;
    std::vector<std::string> broken;
    std::vector<std::string> unobserved;
    for (const store::RuleResult& result : results) {
        const RuleInfo* rule = find_rule(result.rule);
        if (rule != nullptr && rule->severity == store::Severity::advice) {
            continue;  // what could be better neither fails nor is missed
        }
        if (result.outcome == store::Outcome::broken) {
            findings += result.findings;
            broken.push_back(result.rule);
        } else if (result.outcome == store::Outcome::not_observed) {
            unobserved.push_back(result.rule);
        }
    }
    if (!facts.finished.value_or(false)) {
        missing.push_back(facts.ending.empty() ? "the guest did not finish"
                                               : fmt::format("the guest did not finish: {}", facts.ending));
    }
    if (facts.lost.value_or(0) != 0) {
        missing.push_back(fmt::format("{} of the trace lost", counted(*facts.lost, "lines")));
    }
    if (facts.not_understood.value_or(0) != 0) {
        missing.push_back(fmt::format("{} not understood", counted(*facts.not_understood, "lines")));
    }
    if (!unobserved.empty()) {
        missing.push_back(fmt::format("{} not observed: {}", counted(unobserved.size(), "rules"),
                                      fmt::join(unobserved, ", ")));
    }
    store::Verdict verdict;
    if (!broken.empty()) {
        verdict.verdict = store::VerdictKind::fail;
        verdict.exit_status = static_cast<int>(ExitStatus::fail);
        verdict.reason = fmt::format("{}: {}", counted(findings, "findings"), fmt::join(broken, ", "));
        if (!missing.empty()) {
            verdict.reason += fmt::format("; also {}", fmt::join(missing, "; "));
        }
    } else if (!missing.empty()) {
        verdict.verdict = store::VerdictKind::incomplete;
        verdict.exit_status = static_cast<int>(ExitStatus::incomplete);
        verdict.reason = fmt::format("{}", fmt::join(missing, "; "));
    } else {
        verdict.verdict = store::VerdictKind::pass;
        verdict.exit_status = static_cast<int>(ExitStatus::pass);
        verdict.reason = fmt::format("{} held", counted(results.size(), "rules"));
    }
    if (suppressed != 0) {
        verdict.reason += fmt::format("; {} suppressed", counted(suppressed, "findings"));
    }
    return verdict;
}

}  // namespace pv::checks
