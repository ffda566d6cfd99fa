// In the meta of a trace, as the tables of older traces have no room for it.
// SPDX-License-Identifier: MIT
#include "store/suppressions.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace pv::store {
namespace {

constexpr std::array<std::string_view, 3> states = {"used", "unused", "expired"};

}  // namespace

std::uint64_t Suppressions::findings() const {
    std::uint64_t all = 0;
    for (const Suppression& entry : entries) {
        all += entry.findings;
    }
    return all;
}

std::string_view to_string(Suppression::State state) {
    return states.at(static_cast<std::size_t>(state));
}

std::string to_text(const Suppressions& suppressions) {
    nlohmann::ordered_json json = {{"file", suppressions.file},
                                   {"entries", nlohmann::ordered_json::array()},
                                   {"of_findings", suppressions.of_findings}};
    for (const Suppression& entry : suppressions.entries) {
        json["entries"].push_back({{"rule", entry.rule},
                                   {"place", entry.place},
                                   {"reason", entry.reason},
                                   {"expires", entry.expires},
                                   {"state", to_string(entry.state)},
                                   {"findings", entry.findings}});
    }
    return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

Result<Suppressions> parse_suppressions(std::string_view text) {
    const auto damaged = [] {
        return fail(ExitStatus::usage, "what the trace says of suppressed findings is damaged",
                    "`paravane analyze` judges it again");
    };
    const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
    // The file may be anybody's: nothing of it is taken for what it should be.
    const auto string = [](const nlohmann::json& object, const char* key) {
        const auto found = object.find(key);
        return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    if (!json.is_object() || !json.contains("entries") || !json["entries"].is_array() ||
        !json.contains("of_findings") || !json["of_findings"].is_array()) {
        return damaged();
    }
    Suppressions suppressions;
    suppressions.file = string(json, "file");
    for (const nlohmann::json& one : json["entries"]) {
        if (!one.is_object() || !one.contains("findings") || !one["findings"].is_number_unsigned()) {
            return damaged();
        }
        const auto state = std::ranges::find(states, string(one, "state"));
        if (state == states.end()) {
            return damaged();
        }
        suppressions.entries.push_back({.rule = string(one, "rule"),
                                        .place = string(one, "place"),
                                        .reason = string(one, "reason"),
                                        .expires = string(one, "expires"),
                                        .state = static_cast<Suppression::State>(state - states.begin()),
                                        .findings = one["findings"].get<std::uint64_t>()});
    }
    for (const nlohmann::json& index : json["of_findings"]) {
        if (!index.is_number_unsigned() || index.get<std::uint64_t>() >= suppressions.entries.size()) {
            return damaged();
        }
        suppressions.of_findings.push_back(index.get<std::uint32_t>());
    }
    return suppressions;
}

}  // namespace pv::store
