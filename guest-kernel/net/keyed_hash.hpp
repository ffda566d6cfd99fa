// SipHash-2-4 (Aumasson and Bernstein, 2012): a hash nobody can foretell without its key.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pv::net {

using HashKey = std::array<std::uint64_t, 2>;

[[nodiscard]] constexpr std::uint64_t keyed_hash(const HashKey& key, std::span<const std::uint8_t> message) {
    std::uint64_t v0 = key[0] ^ 0x736f'6d65'7073'6575ULL;
    std::uint64_t v1 = key[1] ^ 0x646f'7261'6e64'6f6dULL;
    std::uint64_t v2 = key[0] ^ 0x6c79'6765'6e65'7261ULL;
    std::uint64_t v3 = key[1] ^ 0x7465'6462'7974'6573ULL;
    const auto rounds = [&](int count) {
        for (int i = 0; i < count; ++i) {
            v0 += v1;
            v2 += v3;
            v1 = std::rotl(v1, 13) ^ v0;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 = std::rotl(v0, 32);
            v2 += v1;
            v0 += v3;
            v1 = std::rotl(v1, 17) ^ v2;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 = std::rotl(v2, 32);
        }
    };
    const auto absorb = [&](std::uint64_t word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    };
    const auto word_of = [](std::span<const std::uint8_t> bytes) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            word |= std::uint64_t{bytes[i]} << 8 * i;
        }
        return word;
    };
    const std::size_t whole = message.size() / 8 * 8;
    for (std::size_t at = 0; at < whole; at += 8) {
        absorb(word_of(message.subspan(at, 8)));
    }
    absorb(word_of(message.subspan(whole)) | std::uint64_t{message.size() & 0xff} << 56);
    v2 ^= 0xff;
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace pv::net
