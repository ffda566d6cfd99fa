// Sizes in bytes as people write them: 64M, 4k, 1T.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace pv {

/// A whole number of bytes with an optional k, M, G or T (powers of 1,024; upper or lower case, "iB" or "B"
/// may follow the letter). Errors: usage, when it is no number, has another unit, or does not fit 63 bits.
Result<std::uint64_t> parse_size(std::string_view text);

/// The largest unit that divides it: 64 MiB, 1 GiB, 1500 bytes.
std::string format_size(std::uint64_t bytes);

}  // namespace pv
