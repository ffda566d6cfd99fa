// Suppressions are TOML, as fault plans and recipes are.
// SPDX-License-Identifier: MIT
#include "checks/suppress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"
#include "base/toml_table.hpp"
#include "checks/rule.hpp"
#include "checks/select.hpp"

namespace pv::checks {
namespace {

constexpr std::size_t longest_file = 1 << 20;
constexpr std::size_t longest_text = 1'000;
constexpr std::string_view page_hint = "docs/suppressions.md has examples";

using Table = TomlTable;

Result<std::string> text_of(Table& table, std::string_view key, std::string_view hint) {
    const auto text = PV_TRY(table.get<std::string>(key, hint));
    if (!text) {
        return table.wrong(fmt::format("a suppression without '{}'", key), hint);
    }
    if (text->find_first_not_of(" \t\n") == std::string::npos || text->size() > longest_text) {
        return table.wrong(table.node(key),
                           fmt::format("'{}' is {}", key, text->size() > longest_text ? "too long" : "empty"),
                           hint);
    }
    return *text;
}

Result<std::string> rule_of(Table& table) {
    constexpr std::string_view hint = "a rule's name, or a pattern: rule = \"dma-*\"";
    std::string rule = PV_TRY(text_of(table, "rule", hint));
    const auto fits = [&](const RuleInfo& info) { return matches_pattern(rule, info.name); };
    if (std::ranges::none_of(rules(), fits)) {
        const Error unknown = unknown_rule(rule);
        return table.wrong(table.node("rule"), unknown.message, unknown.hint);
    }
    return rule;
}

Result<store::Suppression> entry_of(Table table, std::chrono::sys_days today) {
    store::Suppression entry;
    entry.rule = PV_TRY(rule_of(table));
    entry.place = PV_TRY(
        text_of(table, "place",
                "a function, an address or a device, or a pattern: place = \"ext4_*\"; \"*\" for all"));
    entry.reason = PV_TRY(text_of(table, "reason", "why it need not count: reason = \"fixed in 6.9\""));
    constexpr std::string_view date_hint = "a day, without quotes: expires = 2027-03-01";
    if (const auto date = PV_TRY(table.get<toml::date>("expires", date_hint))) {
        const std::chrono::year_month_day day{std::chrono::year{date->year}, std::chrono::month{date->month},
                                              std::chrono::day{date->day}};
        entry.expires = fmt::format("{:04}-{:02}-{:02}", date->year, date->month, date->day);
        if (std::chrono::sys_days{day} <= today) {
            entry.state = store::Suppression::State::expired;
        }
    }
    PV_TRY(table.done());
    return entry;
}

}  // namespace

Result<SuppressionFile> SuppressionFile::parse(std::string_view text, std::string_view name,
                                               std::chrono::sys_days today) {
    const toml::table root = PV_TRY(parse_toml(text, name, "suppressions are TOML: docs/suppressions.md"));
    Table top(root, name);
    SuppressionFile file;
    file.entries_.file = name;
    const toml::node* list = root.get("suppress");
    if (list != nullptr && !list->is_array_of_tables()) {
        return top.wrong(*list, "'suppress' is no list of tables", "[[suppress]]");
    }
    PV_TRY(top.done({"suppress"}));
    if (list == nullptr) {
        return fail(ExitStatus::usage, fmt::format("{}: no [[suppress]] in it", name),
                    std::string(page_hint));
    }
    for (const toml::node& entry : *list->as_array()) {
        if (file.entries_.entries.size() >= most_entries) {
            return top.wrong(entry, fmt::format("more than {} suppressions", most_entries),
                             "a pattern stands for many places");
        }
        file.entries_.entries.push_back(PV_TRY(entry_of(Table(*entry.as_table(), name), today)));
    }
    return file;
}

Result<SuppressionFile> SuppressionFile::read(const std::filesystem::path& path) {
    const std::string text = PV_TRY(read_regular(path, "suppressions", longest_file));
    return parse(text, path.filename().string(),
                 std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()));
}

std::optional<std::uint32_t> SuppressionFile::find(std::string_view rule,
                                                   std::span<const std::string> places) const {
    for (std::uint32_t i = 0; i < entries_.entries.size(); ++i) {
        const store::Suppression& entry = entries_.entries[i];
        if (entry.state != store::Suppression::State::expired && matches_pattern(entry.rule, rule) &&
            std::ranges::any_of(
                places, [&](const std::string& place) { return matches_pattern(entry.place, place); })) {
            return i;
        }
    }
    return std::nullopt;
}

std::vector<std::string> complaints(const store::Suppressions& suppressions) {
    std::vector<std::string> lines;
    for (const store::Suppression& entry : suppressions.entries) {
        const std::string what =
            fmt::format("{}: the suppression of {} at '{}'", suppressions.file, entry.rule, entry.place);
        if (entry.state == store::Suppression::State::expired) {
            lines.push_back(fmt::format("{} expired on {}", what, entry.expires));
        } else if (entry.state == store::Suppression::State::unused) {
            lines.push_back(what + " fitted no finding");
        }
    }
    return lines;
}

}  // namespace pv::checks
