// ChaCha20's block function (RFC 8439, section 2.3).
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

namespace pv {

using ChaCha20Key = std::array<std::uint32_t, 8>;

/// The block for this key, counter and nonce.
[[nodiscard]] std::array<std::uint32_t, 16> chacha20_block(const ChaCha20Key& key, std::uint32_t counter,
                                                           const std::array<std::uint32_t, 3>& nonce);

}  // namespace pv
