// Text from outside made storable: valid UTF-8 without NUL, bounded.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace pv::store {

/// true: `text` is well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms) without NUL.
[[nodiscard]] bool is_storable(std::string_view text);

/// `text` with every byte that is no part of well-formed UTF-8, and every NUL, replaced by U+FFFD; cut to at
/// most `limit` bytes at the end of a character.
[[nodiscard]] std::string make_storable(std::string_view text, std::size_t limit);

}  // namespace pv::store
