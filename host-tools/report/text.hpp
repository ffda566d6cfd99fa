// Widths and wrapping of text that is already safe to show (pv::escape_for_terminal).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pv::report {

/// Terminal columns `text` takes: wide East Asian characters and emoji two, combining marks none, the rest
/// one. Expects what escape_for_terminal returns; a byte that is not UTF-8 counts as one. Never fails.
std::size_t columns(std::string_view text);

/// `text` as lines of at most `width` columns (at least 10 are taken), broken at spaces, each preceded by
/// `indent` and ended by a line feed. A word longer than a line is broken. Line feeds in `text` are kept and
/// the indentation of such a line is repeated where it wraps. An empty text gives no line.
std::string wrap(std::string_view text, std::size_t width, std::string_view indent);

/// `text` followed by spaces up to `width` columns; longer text is not cut.
std::string pad(std::string_view text, std::size_t width);

}  // namespace pv::report
