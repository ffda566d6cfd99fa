// Text chosen by a guest or a device, made harmless for people's eyes: terminals, HTML and one-line fields.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pv::report {

/// How `visible` treats line ends.
enum class Lines {
    escape,  ///< a line feed becomes `\n`: the result is one line
    keep,    ///< line feeds stay, "\r\n" becomes a line feed: for a console's text
};

/// `text` as it can be shown: control characters, escape sequences, characters that change the direction of
/// text or are invisible, line and paragraph separators, and bytes that are not UTF-8 become visible escapes
/// (`\n`, `\x1b`, `\u{202e}`); a backslash before such an escape's letter is not doubled. Tabs become one space under
/// Lines::escape. The result is valid UTF-8 and holds no control character but line feeds and tabs under
/// Lines::keep. At most `limit` bytes of `text` are used; "..." ends a text that was cut.
std::string visible(std::string_view text, Lines lines = Lines::escape, std::size_t limit = 64 * 1024);

/// Terminal columns `text` takes (wide East Asian characters take two, combining ones none). For the result of
/// `visible`; never fails.
std::size_t columns(std::string_view text);

/// `text` wrapped at spaces to lines of at most `width` columns; words longer than a line are broken. Never
/// empty: an empty text is one empty line.
std::string wrap(std::string_view text, std::size_t width, std::string_view indent);

}  // namespace pv::report
