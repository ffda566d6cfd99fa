// Numbers nobody outside can foretell: ChaCha20 over what the entropy pool gives.
// SPDX-License-Identifier: MIT
#include "net/random.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "arch/entropy.hpp"

namespace pv::net {

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

Seed gather_seed(FunctionRef<Result<>(std::span<std::byte>)> take) {
    Seed seed;
    seed.sound = take(std::as_writable_bytes(std::span{seed.key})).has_value();
    for (std::size_t i = 0; i < seed.key.size(); ++i) {
        const std::uint64_t cycles = arch::cycle_count();
        seed.key[i] ^= static_cast<std::uint32_t>(cycles ^ cycles >> 32);
        const auto mixed = chacha20_block(seed.key, 1, {});
        std::ranges::copy(std::span{mixed}.first(seed.key.size()), seed.key.begin());
    }
    return seed;
}

}  // namespace pv::net
