// Fault plans in files (docs/faults.md, "Plans"): faults and other steps, when each is due, what must hold
// after.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "faults/plan.hpp"
#include "faults/schedule.hpp"

namespace pv::faults {

/// What must hold when the run is over. What is absent is not asked.
struct Expectation {
    std::optional<std::string> verdict;               ///< pass, fail or incomplete
    std::optional<std::vector<std::string>> rules;    ///< exactly these rules have findings
    std::optional<int> guest_status;                  ///< what the guest said when it powered off
    std::optional<std::chrono::milliseconds> within;  ///< the guest ended by itself in this time
    std::vector<std::string> console;       ///< regular expressions (ECMAScript); each fits some line
    std::vector<std::string> not_console;   ///< none fits any line
    std::vector<std::string> true_queries;  ///< SQL statements; the first column of the first row is not 0

    [[nodiscard]] bool empty() const {
        return !verdict && !rules && !guest_status && !within && console.empty() && not_console.empty() &&
               true_queries.empty();
    }

    bool operator==(const Expectation&) const = default;
};

struct Plan {
    std::string description;
    std::vector<Fault> faults;
    std::vector<Step> steps;  ///< a fault has a step that arms it, and one that disarms it where asked
    Expectation expect;

    bool operator==(const Plan&) const = default;
};

/// Largest plan that is read.
inline constexpr std::size_t longest_plan = 1U << 20U;

/// Understands a plan; `name` is said in errors. Errors: usage, with line and column, and a hint. Names of
/// events and devices are not looked up: who knows them does.
Result<Plan> parse_plan(std::string_view text, std::string_view name);

/// Reads and understands the file. Errors: as above, and usage where it cannot be read.
Result<Plan> read_plan(const std::filesystem::path& path);

}  // namespace pv::faults
