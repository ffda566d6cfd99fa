// The entropy pool: what sources give is mixed in with credit, and nothing is given out before there is
// enough.
// SPDX-License-Identifier: MIT
#include "random/pool.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "arch/entropy.hpp"
#include "task/lock.hpp"

namespace pv::random {
namespace {

constexpr std::array<std::uint32_t, 3> no_nonce{};
/// Counters of the two uses of a key: no block of one is a block of the other.
constexpr std::uint32_t for_output = 0;
constexpr std::uint32_t for_mixing = 1;

constinit task::Guarded<Pool, task::Rank::leaf> pool;

}  // namespace

void Pool::add(std::span<const std::byte> data, std::uint64_t credit) {
    while (!data.empty()) {
        const std::size_t taken = std::min(data.size(), sizeof key_);
        ChaCha20Key part{};
        std::memcpy(part.data(), data.data(), taken);
        for (std::size_t i = 0; i < key_.size(); ++i) {
            key_[i] ^= part[i];
        }
        const auto block = chacha20_block(key_, for_mixing, no_nonce);
        std::copy_n(block.begin(), key_.size(), key_.begin());
        data = data.subspan(taken);
    }
    credit_ = credit > ~credit_ ? ~std::uint64_t{0} : credit_ + credit;
}

Result<> Pool::take(std::span<std::byte> out) {
    if (!seeded()) {
        return fail(Error::busy);
    }
    while (!out.empty()) {
        auto block = chacha20_block(key_, for_output, no_nonce);
        // The first half is the next key and is given to nobody.
        std::copy_n(block.begin(), key_.size(), key_.begin());
        const std::size_t given = std::min(out.size(), sizeof key_);
        std::memcpy(out.data(), block.data() + key_.size(), given);
        out = out.subspan(given);
        block.fill(0);
    }
    return {};
}

void add(std::span<const std::byte> data, std::uint64_t credit) {
    pool.with([&](Pool& all) { all.add(data, credit); });
}

std::uint64_t credit() {
    return pool.with([](Pool& all) { return all.credit(); });
}

Result<> take(std::span<std::byte> out) {
    return pool.with([&](Pool& all) { return all.take(out); });
}

void add_from_processor() {
    constexpr std::size_t words = 8;
    for (std::size_t i = 0; i < words; ++i) {
        const std::uint64_t cycles = arch::cycle_count();
        add(std::as_bytes(std::span{&cycles, 1}), 0);
        if (const auto word = arch::random_word()) {
            add(std::as_bytes(std::span{&*word, 1}), 64);
        }
    }
}

}  // namespace pv::random
