// Plans are TOML: toml++ reads it and knows the place of each value, which every error names.
// SPDX-License-Identifier: MIT
#include "faults/plan_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <regex>
#include <utility>

#include "base/toml_table.hpp"

namespace pv::faults {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t most_steps = 256;
constexpr std::string_view time_hint = "a text with a number and us, ms, s or m: \"5ms\"";

using Table = TomlTable;

Result<nanoseconds> time_of(Table& table, std::string_view key) {
    const auto text = PV_TRY(table.get<std::string>(key, time_hint));
    if (!text) {
        return nanoseconds{0};
    }
    // The fault language knows times; a delay is one.
    const auto fault = parse_fault(fmt::format("delay disk0 any by {}", *text));
    if (!fault || text->find(' ') != std::string::npos) {
        return table.wrong(table.node(key), fmt::format("'{}' is no time", Table::printable(*text)),
                           time_hint);
    }
    return fault->delay;
}

bool is_event_name(std::string_view text) {
    return !text.empty() && text.size() <= 80 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

/// The keys `PREFIX`, `PREFIXnth`, `PREFIXdelay`: when, nth, delay; until, until-nth, until-delay.
Result<Moment> moment(Table& table, std::string_view event, std::string_view nth, std::string_view delay) {
    constexpr std::string_view hint =
        "the name of a trace event or marker: `paravane query trace.db 'select distinct kind from event'`";
    Moment moment;
    if (const auto name = PV_TRY(table.get<std::string>(event, hint))) {
        if (!is_event_name(*name)) {
            return table.wrong(table.node(event),
                               fmt::format("'{}' is no name of an event", Table::printable(*name)), hint);
        }
        moment.event = *name;
    }
    if (const auto number = PV_TRY(table.get<std::int64_t>(nth, "a whole number from 1"))) {
        if (*number < 1 || moment.event.empty()) {
            return table.wrong(table.node(nth), fmt::format("'{}' does not fit", nth),
                               "a whole number from 1, of an event that is named");
        }
        moment.nth = static_cast<std::uint64_t>(*number);
    }
    moment.delay = PV_TRY(time_of(table, delay));
    return moment;
}

std::string words_of(const Moment& moment) {
    std::string words = moment.event.empty() ? "at the start" : "after " + moment.event;
    if (moment.nth > 1) {
        words += fmt::format(" number {}", moment.nth);
    }
    if (moment.delay.count() != 0) {
        words += fmt::format(" and {} us", moment.delay.count() / 1000);
    }
    return words;
}

Result<> add_fault(Table table, Plan& plan) {
    constexpr std::string_view hint = "as --fault takes it: do = \"stall disk0 read after 100\"";
    const auto text = PV_TRY(table.get<std::string>("do", hint));
    if (!text) {
        return table.wrong("a fault without 'do'", hint);
    }
    auto fault = parse_fault(*text);
    if (!fault) {
        return table.wrong(table.node("do"), fault.error().message, fault.error().hint);
    }
    const std::size_t index = plan.faults.size();
    const Moment begin = PV_TRY(moment(table, "when", "nth", "delay"));
    plan.steps.push_back({.action = Step::Action::arm,
                          .fault = index,
                          .target = fault->disk,
                          .moment = begin,
                          .text = fmt::format("{}, {}", fault->text, words_of(begin))});
    const bool ends = table.has("until") || table.has("until-delay");
    const Moment end = PV_TRY(moment(table, "until", "until-nth", "until-delay"));
    if (ends) {
        plan.steps.push_back({.action = Step::Action::disarm,
                              .fault = index,
                              .target = fault->disk,
                              .moment = end,
                              .text = fmt::format("the end of '{}', {}", fault->text, words_of(end))});
    }
    plan.faults.push_back(*std::move(fault));
    return table.done();
}

Result<> add_step(Table table, Plan& plan) {
    struct Word {
        std::string_view name;
        Step::Action action;
    };

    static constexpr std::array words = {
        Word{"disconnect", Step::Action::disconnect}, Word{"link-down", Step::Action::link_down},
        Word{"link-up", Step::Action::link_up}, Word{"unplug", Step::Action::unplug},
        Word{"pull", Step::Action::pull}};
    constexpr std::string_view hint =
        "do = \"disconnect disk0\", \"unplug disk0\", \"pull net0\", \"link-down net0\" or \"link-up net0\"";
    const auto text = PV_TRY(table.get<std::string>("do", hint));
    if (!text) {
        return table.wrong("a step without 'do'", hint);
    }
    const std::size_t space = text->find(' ');
    const auto* word = std::ranges::find(words, std::string_view(*text).substr(0, space), &Word::name);
    const std::string target = space == std::string::npos ? "" : text->substr(space + 1);
    if (word == words.end() || !is_event_name(target)) {
        return table.wrong(table.node("do"), fmt::format("'{}' is no step", Table::printable(*text)), hint);
    }
    Step step{.action = word->action, .fault = 0, .target = target, .moment = {}, .text = {}};
    step.moment = PV_TRY(moment(table, "when", "nth", "delay"));
    step.text = fmt::format("{}, {}", *text, words_of(step.moment));
    plan.steps.push_back(std::move(step));
    return table.done();
}

Result<> check_patterns(const Table& table, const std::vector<std::string>& patterns, std::string_view key) {
    for (const std::string& pattern : patterns) {
        try {
            std::regex compiled(pattern);
        } catch (const std::regex_error&) {
            return table.wrong(table.node(key),
                               fmt::format("'{}' is no regular expression", Table::printable(pattern)),
                               "ECMAScript's: \\( for a bracket, .* for anything");
        }
    }
    return {};
}

Result<Expectation> expectation(Table table) {
    Expectation expect;
    expect.verdict = PV_TRY(table.get<std::string>("verdict", "\"pass\", \"fail\" or \"incomplete\""));
    if (expect.verdict && *expect.verdict != "pass" && *expect.verdict != "fail" &&
        *expect.verdict != "incomplete") {
        return table.wrong(table.node("verdict"),
                           fmt::format("'{}' is no verdict", Table::printable(*expect.verdict)),
                           "\"pass\", \"fail\" or \"incomplete\"");
    }
    auto rules = PV_TRY(table.texts("rules", "a list of rules that are broken: [\"cmd-deadline\"]"));
    if (table.has("rules")) {
        std::ranges::sort(rules);
        expect.rules = std::move(rules);
    }
    if (const auto status = PV_TRY(table.get<std::int64_t>("guest-status", "a whole number"))) {
        if (*status < 0 || *status > 255) {
            return table.wrong(table.node("guest-status"), "a status from 0 to 255", "0: all is well");
        }
        expect.guest_status = static_cast<int>(*status);
    }
    if (const nanoseconds within = PV_TRY(time_of(table, "within")); within.count() != 0) {
        expect.within = std::chrono::duration_cast<milliseconds>(within);
    }
    expect.console = PV_TRY(table.texts("console", "a list of regular expressions"));
    PV_TRY(check_patterns(table, expect.console, "console"));
    expect.not_console = PV_TRY(table.texts("not-console", "a list of regular expressions"));
    PV_TRY(check_patterns(table, expect.not_console, "not-console"));
    expect.true_queries = PV_TRY(table.texts("true", "a list of SQL statements"));
    PV_TRY(table.done());
    if (expect.empty()) {
        return table.wrong("[expect] asks for nothing", "verdict = \"pass\"");
    }
    return expect;
}

/// Calls `add` with each table of the list `key`.
Result<> each(const toml::table& root, std::string_view file, std::string_view key, Plan& plan,
              Result<> (*add)(Table, Plan&)) {
    const toml::node* node = root.get(key);
    if (node == nullptr) {
        return {};
    }
    const Table top(root, file);
    const toml::array* list = node->as_array();
    if (list == nullptr) {
        return top.wrong(*node, fmt::format("'{}' is no list of tables", key), fmt::format("[[{}]]", key));
    }
    for (const toml::node& entry : *list) {
        if (!entry.is_table()) {
            return top.wrong(entry, fmt::format("'{}' is no list of tables", key),
                             fmt::format("[[{}]]", key));
        }
        PV_TRY(add(Table(*entry.as_table(), file), plan));
        if (plan.steps.size() > most_steps) {
            return top.wrong(entry, fmt::format("more than {} steps", most_steps),
                             "'every N' repeats a fault");
        }
    }
    return {};
}

}  // namespace

Result<Plan> parse_plan(std::string_view text, std::string_view name) {
    if (text.size() > longest_plan) {
        return fail(ExitStatus::usage, fmt::format("{}: a plan of {} bytes", name, text.size()),
                    fmt::format("at most {}", longest_plan));
    }
    const toml::table root = PV_TRY(parse_toml(text, name, "plans are TOML: docs/faults.md"));
    Table top(root, name);
    Plan plan;
    plan.description = PV_TRY(top.get<std::string>("description", "a text")).value_or("");
    PV_TRY(each(root, name, "fault", plan, add_fault));
    PV_TRY(each(root, name, "step", plan, add_step));
    if (const toml::node* expect = root.get("expect")) {
        if (!expect->is_table()) {
            return top.wrong(*expect, "'expect' is no table", "[expect]");
        }
        plan.expect = PV_TRY(expectation(Table(*expect->as_table(), name)));
    }
    PV_TRY(top.done({"fault", "step", "expect"}));
    if (plan.steps.empty() && plan.expect.empty()) {
        return fail(ExitStatus::usage,
                    fmt::format("{}: the plan has no [[fault]], no [[step]] and no [expect]", name),
                    "docs/faults.md has examples");
    }
    return plan;
}

Result<Plan> read_plan(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    char chunk[4096];
    while (file.read(chunk, sizeof chunk), file.gcount() > 0 && text.size() <= longest_plan) {
        text.append(chunk, static_cast<std::size_t>(file.gcount()));
    }
    if (text.empty() && !file.eof()) {
        return fail(ExitStatus::usage, fmt::format("the fault plan '{}' cannot be read", path.string()),
                    "does the file exist, and may you read it?");
    }
    return parse_plan(text, path.filename().string());
}

}  // namespace pv::faults
