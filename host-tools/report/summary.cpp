// What every report begins with, read once from the trace.
// SPDX-License-Identifier: MIT
#include "report/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

namespace pv::report {

std::string Summary::value(const std::string& key) const {
    const auto found = meta.find(key);
    return found == meta.end() ? std::string() : found->second;
}

std::size_t Summary::rules_with(store::Outcome outcome) const {
    return static_cast<std::size_t>(
        std::ranges::count(rules, outcome, [](const store::RuleResult& rule) { return rule.outcome; }));
}

std::string GuestEnd::predicate() const {
    constexpr auto passive =
        std::to_array<std::string_view>({"interrupted", "given up", "left by the user", "ended by paravane"});
    return (std::ranges::find(passive, ended) != passive.end() ? "was " : "") + text;
}

GuestEnd Summary::guest_end() const {
    GuestEnd result{.ended = value("end"), .status = {}, .wedged = value("wedged"), .text = value("ending")};
    const std::string status = value("guest_status");
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(status.data(), status.data() + status.size(), number);
    if (error == std::errc() && end == status.data() + status.size()) {
        result.status = number;
    }
    return result;
}

Result<Summary> summarize(store::Trace& trace, std::int64_t findings) {
    Summary summary;
    std::optional<store::Verdict> verdict = PV_TRY(trace.verdict());
    if (!verdict) {
        return fail(ExitStatus::usage,
                    fmt::format("{} holds no verdict: it was recorded, not judged", trace.path().string()),
                    fmt::format("`paravane analyze {}` judges it", trace.path().string()));
    }
    summary.verdict = *std::move(verdict);
    summary.meta = PV_TRY(trace.meta());
    summary.devices = PV_TRY(trace.devices());
    summary.rules = PV_TRY(trace.rule_results());
    if (const std::string text = summary.value(std::string(store::suppressions_key)); !text.empty()) {
        summary.suppressions = PV_TRY(store::parse_suppressions(text));
    }
    // Known ones are the last of all (checks::judge).
    const std::int64_t all = PV_TRY(trace.finding_count());
    const std::int64_t known =
        std::min(all, static_cast<std::int64_t>(summary.suppressions.of_findings.size()));
    const std::int64_t counting = all - known;
    summary.findings_total = static_cast<std::uint64_t>(counting);
    summary.findings = PV_TRY(trace.findings(std::min(findings, counting)));
    summary.known = PV_TRY(trace.findings(std::min(findings, known), counting));
    summary.timeline = PV_TRY(trace.timeline());
    std::ranges::stable_sort(summary.timeline, {}, [](const store::TimelineEntry& entry) {
        return std::pair(entry.time, entry.sequence);
    });
    summary.events = static_cast<std::uint64_t>(trace.event_count());
    summary.whole = trace.is_whole();
    return summary;
}

Weight weight_of(std::string_view what) {
    constexpr auto notices = std::to_array<std::string_view>(
        {"enabled", "disabled", "set-up", "shutdown", "start", "stop", "reset done", "recovered"});
    constexpr auto trouble = std::to_array<std::string_view>(
        {"timeout", "abort", "reset", "fault begin", "fault end", "error", "lost", "crash"});
    if (std::ranges::find(notices, what) != notices.end()) {
        return Weight::notice;
    }
    return std::ranges::find(trouble, what) != trouble.end() ? Weight::trouble : Weight::warning;
}

}  // namespace pv::report
