// LEDGER H7: the entropy pool gives nothing before it is seeded, and nothing twice.
// SPDX-License-Identifier: MIT
#include "random/pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace pv::random {
namespace {

using Bytes = std::array<std::byte, 32>;

TEST(PoolTest, GivesNothingBeforeItIsSeeded) {
    Pool pool;
    Bytes out{};
    EXPECT_EQ(pool.take(out).error(), Error::busy);
    const Bytes input{std::byte{1}};
    pool.add(input, 0);
    EXPECT_FALSE(pool.seeded()) << "data without credit";
    pool.add(input, Pool::seed_bits - 1);
    EXPECT_EQ(pool.take(out).error(), Error::busy);
    EXPECT_EQ(out, Bytes{}) << "nothing was written";
    pool.add({}, 1);
    ASSERT_TRUE(pool.take(out));
    EXPECT_NE(out, Bytes{});
}

TEST(PoolTest, CreditDoesNotOverflow) {
    Pool pool;
    pool.add({}, ~std::uint64_t{0});
    pool.add({}, 2);
    EXPECT_TRUE(pool.seeded());
}

TEST(PoolTest, EveryBitOfEverySourceCounts) {
    std::set<Bytes> seen;
    for (std::size_t i = 0; i < 100; ++i) {
        Pool pool;
        std::array<std::byte, 100> input{};
        input[i] = std::byte{1};
        pool.add(input, Pool::seed_bits);
        Bytes out{};
        ASSERT_TRUE(pool.take(out));
        seen.insert(out);
    }
    EXPECT_EQ(seen.size(), 100U);
}

TEST(PoolTest, NothingIsGivenTwiceAndAddingZerosDoesNoHarm) {
    Pool pool;
    const Bytes input{std::byte{7}};
    pool.add(input, Pool::seed_bits);
    std::set<Bytes> seen;
    for (int i = 0; i < 1000; ++i) {
        Bytes out{};
        ASSERT_TRUE(pool.take(out));
        EXPECT_TRUE(seen.insert(out).second);
        if (i % 3 == 0) {
            pool.add(Bytes{}, 0);
        }
    }
}

TEST(PoolTest, LongAnswersAreNoPartOfOneAnother) {
    Pool pool;
    pool.add(Bytes{std::byte{9}}, Pool::seed_bits);
    std::vector<std::byte> out(1000);
    ASSERT_TRUE(pool.take(out));
    std::set<std::vector<std::byte>> blocks;
    for (std::size_t i = 0; i + 32 <= out.size(); i += 32) {
        blocks.insert({out.begin() + static_cast<std::ptrdiff_t>(i),
                       out.begin() + static_cast<std::ptrdiff_t>(i + 32)});
    }
    EXPECT_EQ(blocks.size(), out.size() / 32);
}

}  // namespace
}  // namespace pv::random
