// Findings that somebody knows of and has given a reason for: what a judged trace says of them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::store {

/// One entry of the file that was given, and what came of it.
struct Suppression {
    enum class State : std::uint8_t { used, unused, expired };

    std::string rule = {};
    std::string place = {};
    std::string reason = {};
    std::string expires = {};  ///< "2027-03-01"; empty: never
    State state = State::unused;
    std::uint64_t findings = 0;  ///< that it took away from the verdict, folded ones included
};

struct Suppressions {
    std::string file = {};  ///< empty: none was given
    std::vector<Suppression> entries = {};
    /// Entries of the suppressed findings that are kept, in their order: these are the last of the table
    /// `finding`.
    std::vector<std::uint32_t> of_findings = {};

    /// Of all entries.
    [[nodiscard]] std::uint64_t findings() const;
};

[[nodiscard]] std::string_view to_string(Suppression::State state);

/// As the trace keeps it, in its meta under suppressions_key: JSON.
inline constexpr std::string_view suppressions_key = "suppressions";
[[nodiscard]] std::string to_text(const Suppressions& suppressions);
/// Error: it is something else.
[[nodiscard]] Result<Suppressions> parse_suppressions(std::string_view text);

}  // namespace pv::store
