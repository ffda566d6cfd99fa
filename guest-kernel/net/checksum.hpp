// The Internet checksum (RFC 1071).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pv::net {

/// One's complement sum of `bytes` as 16-bit words in memory order, an odd last byte padded with zero, folded
/// to 16 bits. Not inverted.
[[nodiscard]] std::uint16_t internet_sum(std::span<const std::byte> bytes);

}  // namespace pv::net
