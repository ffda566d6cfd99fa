// Which rules to judge.
// SPDX-License-Identifier: MIT
#include "checks/select.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>

#include "base/terminal.hpp"

namespace pv::checks {

bool matches_pattern(std::string_view pattern, std::string_view name) {
    std::size_t p = 0;
    std::size_t n = 0;
    std::size_t star = std::string_view::npos;
    std::size_t retry = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            retry = n;
        } else if (p < pattern.size() && pattern[p] == name[n]) {
            ++p;
            ++n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

namespace {

/// Levenshtein distance: insertions, deletions and substitutions from one word to the other.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

/// Calls visit(word) for each word of each list.
template <class Visit>
void for_each_word(std::span<const std::string> lists, Visit&& visit) {
    for (std::string_view rest : lists) {
        while (!rest.empty()) {
            const std::size_t comma = rest.find(',');
            visit(rest.substr(0, comma));
            rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
        }
    }
}

}  // namespace

Error unknown_rule(std::string_view word) {
    constexpr std::size_t most = 64;
    std::string_view nearest = "all";
    std::size_t best = std::numeric_limits<std::size_t>::max();
    const auto consider = [&](std::string_view name) {
        const std::size_t far = distance(word.substr(0, most), name);
        if (far < best) {
            best = far;
            nearest = name;
        }
    };
    for (const RuleInfo& rule : rules()) {
        consider(rule.name);
    }
    consider("all");
    consider("no-markers");
    std::string all;
    for (const RuleInfo& rule : rules()) {
        all += all.empty() ? "" : ", ";
        all += rule.name;
    }
    const bool near = best <= std::max<std::size_t>(3, word.size() / 3);
    return {ExitStatus::usage,
            fmt::format("no rule is called '{}'", escape_for_terminal(word.substr(0, most))),
            near ? fmt::format("did you mean {}?", nearest)
                 : fmt::format("rules are {}; groups are all and no-markers; * matches any characters", all)};
}

bool is_named(const RuleInfo& rule, std::span<const std::string> words) {
    bool named = false;
    for_each_word(words, [&](std::string_view word) {
        named = named ||
                (word != "all" && word != "no-markers" && word != "*" && matches_pattern(word, rule.name));
    });
    return named;
}

Result<std::vector<const RuleInfo*>> select_rules(std::span<const std::string> words) {
    const auto all = rules();
    std::set<const RuleInfo*> chosen;
    bool first = true;
    for (const std::string& list : words) {
        std::string_view rest = list;
        while (!rest.empty()) {
            const std::size_t comma = rest.find(',');
            std::string_view word = rest.substr(0, comma);
            rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
            const bool exclude = word.starts_with('-');
            word.remove_prefix(exclude ? 1 : 0);
            if (word.empty()) {
                continue;
            }
            if (first && exclude) {
                for (const RuleInfo& rule : all) {
                    chosen.insert(&rule);
                }
            }
            first = false;
            bool found = false;
            for (const RuleInfo& rule : all) {
                const bool meant = word == "all" || (word == "no-markers" && !rule.needs_markers) ||
                                   matches_pattern(word, rule.name);
                found = found || meant;
                if (meant && exclude) {
                    chosen.erase(&rule);
                } else if (meant) {
                    chosen.insert(&rule);
                }
            }
            if (!found) {
                return std::unexpected(unknown_rule(word));
            }
        }
    }
    std::vector<const RuleInfo*> selected;
    for (const RuleInfo& rule : all) {
        if (first || chosen.contains(&rule)) {
            selected.push_back(&rule);
        }
    }
    if (selected.empty()) {
        return fail(ExitStatus::usage, "the rules given leave nothing to judge", "take an exclusion away");
    }
    return selected;
}

}  // namespace pv::checks
