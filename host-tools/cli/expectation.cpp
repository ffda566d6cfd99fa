// Expectations of fault plans.
// SPDX-License-Identifier: MIT
#include "cli/expectation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <regex>
#include <string_view>

#include "store/query.hpp"
#include "store/trace.hpp"

namespace pv::cli {
namespace {

// A line longer than this is cut before a pattern sees it: matching takes the stack's depth.
constexpr std::size_t longest_line = 1'000;

std::optional<std::string> line_that_fits(std::string_view console, const std::string& pattern) {
    const std::regex expression(pattern);  // the plan's reader has tried it
    for (std::size_t begin = 0; begin < console.size();) {
        const std::size_t end = std::min(console.find('\n', begin), console.size());
        const std::string line(console.substr(begin, std::min(end - begin, longest_line)));
        if (std::regex_search(line, expression)) {
            return line;
        }
        begin = end + 1;
    }
    return std::nullopt;
}

Result<std::vector<std::string>> broken_rules(store::Trace& trace) {
    std::vector<std::string> rules;
    for (const store::RuleResult& result : PV_TRY(trace.rule_results())) {
        if (result.findings > 0) {
            rules.push_back(result.rule);
        }
    }
    std::ranges::sort(rules);
    return rules;
}

std::string joined(const std::vector<std::string>& names) {
    return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Result<std::vector<Expected>> compare(const faults::Expectation& expectation, const RunReport& run,
                                      const store::Verdict& verdict, store::Trace& trace) {
    std::vector<Expected> all;
    const auto add = [&all](std::string what, bool held, std::string found) {
        all.push_back({std::move(what), held, held ? std::string() : std::move(found)});
    };
    add("every step of the plan is done", run.plan_problems.empty(), joined(run.plan_problems));
    if (expectation.verdict) {
        const std::string was(store::to_string(verdict.verdict));
        add("verdict " + *expectation.verdict, was == *expectation.verdict,
            fmt::format("{}: {}", was, verdict.reason));
    }
    if (expectation.rules) {
        const auto broken = PV_TRY(broken_rules(trace));
        add("rules broken: " + joined(*expectation.rules), broken == *expectation.rules, joined(broken));
    }
    if (expectation.guest_status) {
        add(fmt::format("guest status {}", *expectation.guest_status),
            run.guest_status == expectation.guest_status, run.outcome());
    }
    if (expectation.within) {
        add(fmt::format("the guest ends by itself within {} ms", expectation.within->count()),
            run.ending == domain::Ending::powered_off && run.duration <= *expectation.within,
            fmt::format("{} after {} ms", run.outcome(), run.duration.count()));
    }
    for (const std::string& pattern : expectation.console) {
        add(fmt::format("the console says '{}'", pattern),
            line_that_fits(run.console_tail, pattern).has_value(), "no such line among its last 64 KiB");
    }
    for (const std::string& pattern : expectation.not_console) {
        const auto line = line_that_fits(run.console_tail, pattern);
        add(fmt::format("the console does not say '{}'", pattern), !line, line.value_or(""));
    }
    for (const std::string& sql : expectation.true_queries) {
        store::Statement statement = PV_TRY(store::prepare_query(trace, sql));
        const bool row = PV_TRY(statement.step());
        add(sql, row && statement.integer(0) != 0, row ? "its first column is 0" : "it has no row");
    }
    return all;
}

}  // namespace pv::cli
