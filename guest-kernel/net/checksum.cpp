// The Internet checksum: eight bytes at a time.
// SPDX-License-Identifier: MIT
#include "net/checksum.hpp"

#include "arch/word_sum.hpp"

namespace pv::net {
namespace {

constexpr std::size_t block = 64;

using Wide = unsigned __int128;

std::uint64_t load(const std::byte* at) {
    std::uint64_t word = 0;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

}  // namespace

std::uint16_t internet_sum(std::span<const std::byte> bytes) {
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    Wide wide = arch::word_sum(at, left / block);
    at += left / block * block;
    left %= block;
    for (; left >= 8; left -= 8, at += 8) {
        wide += load(at);
    }
    std::uint64_t rest = 0;
    for (std::size_t i = 0; i < left; ++i) {
        rest |= std::uint64_t{std::to_integer<std::uint8_t>(at[i])} << 8 * i;
    }
    wide += rest;
    // 2^16 is one in this arithmetic, so 2^64 and 2^32 are.
    std::uint64_t sum = (static_cast<std::uint64_t>(wide) & 0xffff'ffff) +
                        (static_cast<std::uint64_t>(wide) >> 32) + static_cast<std::uint64_t>(wide >> 64);
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(sum);
}

}  // namespace pv::net
