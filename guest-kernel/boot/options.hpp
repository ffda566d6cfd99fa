// The kernel's command line: `name`, `name=value`, and lists `key:value,key:value` within a value.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"

namespace pv::boot {

/// A view of a command line; words are separated by blanks. The text outlives it.
class CommandLine {
  public:
    constexpr CommandLine() = default;

    constexpr explicit CommandLine(std::string_view text) : text_(text) {}

    [[nodiscard]] std::string_view text() const { return text_; }

    /// The value of the last `name` or `name=value`: empty for a bare name, nothing when it is not there.
    [[nodiscard]] std::optional<std::string_view> option(std::string_view name) const;

  private:
    std::string_view text_;
};

/// Bytes of a loader's command line that count.
inline constexpr std::size_t command_line_max = 4096;

/// The command line this kernel was booted with.
[[nodiscard]] CommandLine command_line();
void set_command_line(std::string_view text);

/// command_line().option(name).
[[nodiscard]] std::optional<std::string_view> option(std::string_view name);

/// The value of `key:value` (or of a bare `key`: empty) in a comma-separated list, e.g. in
/// `threads:4,blocks:256`.
[[nodiscard]] std::optional<std::string_view> item(std::string_view list, std::string_view key);

/// Calls `visit(key, value)` for each item; for telling users of a key nobody knows.
template <class F>
void for_each_item(std::string_view list, F&& visit) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        const std::string_view one = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
        const std::size_t colon = one.find(':');
        if (!one.empty()) {
            visit(one.substr(0, colon),
                  colon == std::string_view::npos ? std::string_view{} : one.substr(colon + 1));
        }
    }
}

/// Decimal or 0x hexadecimal, nothing else around it. Error: invalid_argument.
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text);
/// A number of bytes with an optional k, M, G or T (powers of 1024). Error: invalid_argument.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
/// A number with ns, us, ms, s or min. Error: invalid_argument (also without a unit).
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

}  // namespace pv::boot
