// ChaCha20's block function.
// SPDX-License-Identifier: MIT
#include "base/chacha20.hpp"

#include <algorithm>
#include <bit>

namespace pv {
namespace {

using State = std::array<std::uint32_t, 16>;

// Inline wherever it stands: its places are constants there, and words of the state stay in registers.
[[gnu::always_inline]] inline void quarter_round(State& s, std::size_t a, std::size_t b, std::size_t c,
                                                 std::size_t d) {
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

std::array<std::uint32_t, 16> chacha20_block(const ChaCha20Key& key, std::uint32_t counter,
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

}  // namespace pv
