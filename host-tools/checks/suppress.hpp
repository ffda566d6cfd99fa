// A file of findings that are known: which of them shall not count.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "store/suppressions.hpp"

namespace pv::checks {

/// The file's entries: docs/suppressions.md. Each names a rule (or a pattern of names), a place, a reason,
/// and perhaps a day from which on it no longer counts.
class SuppressionFile {
  public:
    static constexpr std::size_t most_entries = 1'000;

    /// Understands the file's text; `name` is for errors, which name line and column (usage), and `today`
    /// decides what has expired.
    [[nodiscard]] static Result<SuppressionFile> parse(std::string_view text, std::string_view name,
                                                       std::chrono::sys_days today);

    /// The same for the file at `path`, today.
    [[nodiscard]] static Result<SuppressionFile> read(const std::filesystem::path& path);

    /// The first entry, not expired, that fits a finding of `rule` at one of `places`.
    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view rule,
                                                    std::span<const std::string> places) const;

    [[nodiscard]] const store::Suppressions& entries() const { return entries_; }

  private:
    store::Suppressions entries_;
};

/// What to say of entries that did nothing: one line each, for people.
[[nodiscard]] std::vector<std::string> complaints(const store::Suppressions& suppressions);

}  // namespace pv::checks
