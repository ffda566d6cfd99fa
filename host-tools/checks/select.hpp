// Which rules to judge: names, groups and patterns as --rules takes them.
// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "checks/rule.hpp"

namespace pv::checks {

/// Rules selected by `words`, each a list divided by commas, read from left to right:
///   all            every rule (also when nothing, or only exclusions, are given)
///   no-markers     every rule that needs nothing from the guest
///   dma-leak       that rule
///   dma-*          every rule whose name matches; * stands for any characters
///   -WORD          takes away what WORD would have added
/// A rule that needs an IOMMU is left out of the results of a run without one, unless it is named.
/// In the registry's order. Errors (usage): an unknown word, with the nearest name as hint; nothing selected.
[[nodiscard]] Result<std::vector<const RuleInfo*>> select_rules(std::span<const std::string> words);

/// Whether `name` matches `pattern`, in which * stands for any characters.
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view name);

/// What is wrong with a word that names no rule, with the nearest name as hint.
[[nodiscard]] Error unknown_rule(std::string_view word);

/// Whether one of `words` asks for the rule by its name or a pattern, and not by a group.
[[nodiscard]] bool is_named(const RuleInfo& rule, std::span<const std::string> words);

}  // namespace pv::checks
