// Numbers nobody outside can foretell: ChaCha20 over what the processor gives.
// SPDX-License-Identifier: MIT
#include "net/random.hpp"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include "arch/entropy.hpp"

namespace pv::net {
namespace {

using State = std::array<std::uint32_t, 16>;

void quarter_round(State& s, std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
    s[a] += s[b];
    s[d] = std::rotl(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = std::rotl(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = std::rotl(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = std::rotl(s[b] ^ s[c], 7);
}

}  // namespace

std::array<std::uint32_t, 16> chacha20_block(const Random::Key& key, std::uint32_t counter,
                                             const std::array<std::uint32_t, 3>& nonce) {
    State start{0x6170'7865, 0x3320'646e, 0x7962'2d32, 0x6b20'6574};
    std::ranges::copy(key, start.begin() + 4);
    start[12] = counter;
    std::ranges::copy(nonce, start.begin() + 13);
    State state = start;
    for (int i = 0; i < 10; ++i) {
        quarter_round(state, 0, 4, 8, 12);
        quarter_round(state, 1, 5, 9, 13);
        quarter_round(state, 2, 6, 10, 14);
        quarter_round(state, 3, 7, 11, 15);
        quarter_round(state, 0, 5, 10, 15);
        quarter_round(state, 1, 6, 11, 12);
        quarter_round(state, 2, 7, 8, 13);
        quarter_round(state, 3, 4, 9, 14);
    }
    for (std::size_t i = 0; i < state.size(); ++i) {
        state[i] += start[i];
    }
    return state;
}

std::uint32_t Random::next() {
    if (used_ == words) {
        block_ = chacha20_block(key_, 0, {});
        // The first half is the next key and is given to nobody.
        std::ranges::copy(std::span{block_}.first(key_.size()), key_.begin());
        std::ranges::fill(std::span{block_}.first(key_.size()), 0U);
        used_ = key_.size();
    }
    return std::exchange(block_[used_++], 0U);
}

Seed gather_seed() {
    Seed seed;
    for (std::size_t i = 0; i < seed.key.size(); i += 2) {
        if (const auto word = arch::random_word()) {
            seed.key[i] = static_cast<std::uint32_t>(*word);
            seed.key[i + 1] = static_cast<std::uint32_t>(*word >> 32);
            seed.hardware_words += 2;
        }
    }
    for (std::size_t i = 0; i < seed.key.size(); ++i) {
        const std::uint64_t cycles = arch::cycle_count();
        seed.key[i] ^= static_cast<std::uint32_t>(cycles ^ cycles >> 32);
        const auto mixed = chacha20_block(seed.key, 1, {});
        std::ranges::copy(std::span{mixed}.first(seed.key.size()), seed.key.begin());
    }
    return seed;
}

}  // namespace pv::net
