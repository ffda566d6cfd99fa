// The words of results, both ways.
// SPDX-License-Identifier: MIT
#include "store/results.hpp"

#include <array>
#include <utility>

namespace pv::store {
namespace {

template <class Enum, std::size_t N>
using Words = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Words<Outcome, 3> outcomes = {
    {{Outcome::held, "held"}, {Outcome::broken, "broken"}, {Outcome::not_observed, "not observed"}}};
constexpr Words<Severity, 3> severities = {
    {{Severity::error, "error"}, {Severity::warning, "warning"}, {Severity::advice, "advice"}}};
constexpr Words<VerdictKind, 3> verdicts = {
    {{VerdictKind::pass, "pass"}, {VerdictKind::fail, "fail"}, {VerdictKind::incomplete, "incomplete"}}};

template <class Enum, std::size_t N>
std::string_view word_of(const Words<Enum, N>& words, Enum value) {
    for (const auto& [key, word] : words) {
        if (key == value) {
            return word;
        }
    }
    return {};
}

template <class Enum, std::size_t N>
std::optional<Enum> value_of(const Words<Enum, N>& words, std::string_view text) {
    for (const auto& [key, word] : words) {
        if (word == text) {
            return key;
        }
    }
    return std::nullopt;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
    return word_of(outcomes, outcome);
}

std::string_view to_string(Severity severity) {
    return word_of(severities, severity);
}

std::string_view to_string(VerdictKind verdict) {
    return word_of(verdicts, verdict);
}

std::optional<Outcome> parse_outcome(std::string_view word) {
    return value_of(outcomes, word);
}

std::optional<Severity> parse_severity(std::string_view word) {
    return value_of(severities, word);
}

std::optional<VerdictKind> parse_verdict(std::string_view word) {
    return value_of(verdicts, word);
}

}  // namespace pv::store
