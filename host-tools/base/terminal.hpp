// Text from outside made safe for a terminal: guests and files choose strings, terminals obey them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pv {

struct EscapeOptions {
    std::size_t max_bytes = 4096;  ///< of the input; what is cut is told as "...(N more bytes)"
    bool keep_newlines = false;    ///< '\n' and '\t' pass unchanged (consoles); else they become \n and \t
};

/// `text` with everything a terminal could obey or hide made visible: control characters (C0, DEL, C1) and
/// escape sequences, bidirectional overrides and isolates, zero-width characters, line and paragraph
/// separators, and bytes that are not UTF-8 (as \xNN). Printable Unicode stays. A backslash is doubled unless
/// keep_newlines is set. The result is valid UTF-8.
std::string escape_for_terminal(std::string_view text, const EscapeOptions& options = {});

/// True when `fd` is a terminal a person looks at (isatty, and TERM is not "dumb").
bool is_terminal(int fd);

}  // namespace pv
