// The Internet checksum, the keyed hash and the random numbers, against their specifications' own examples.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <span>
#include <vector>

#include "net/checksum.hpp"
#include "net/keyed_hash.hpp"
#include "net/random.hpp"
#include "random/pool.hpp"

namespace pv::net {
namespace {

/// RFC 1071, 4.1, word by word.
std::uint16_t plain_sum(std::span<const std::byte> bytes) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        sum += std::uint64_t{std::to_integer<std::uint8_t>(bytes[i])} << (i % 2 == 0 ? 0 : 8);
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(sum);
}

TEST(InternetSum, agrees_with_the_specification_at_every_length_and_offset) {
    std::mt19937 chance{7};
    std::vector<std::byte> bytes(1600);
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(chance()); });
    for (std::size_t offset = 0; offset < 9; ++offset) {
        for (std::size_t length = 0; length < 300; ++length) {
            const auto part = std::span{bytes}.subspan(offset, length);
            ASSERT_EQ(internet_sum(part), plain_sum(part)) << offset << " " << length;
        }
    }
    EXPECT_EQ(internet_sum(bytes), plain_sum(bytes));
}

TEST(InternetSum, carries_are_not_lost) {
    const std::vector<std::byte> ones(65'536, std::byte{0xff});
    EXPECT_EQ(internet_sum(ones), 0xffff);
    EXPECT_EQ(internet_sum({}), 0);
}

// The vectors of the paper's appendix A: key 00..0f, message 00..0e.
TEST(KeyedHash, is_siphash_2_4) {
    std::array<std::uint8_t, 15> message{};
    for (std::size_t i = 0; i < message.size(); ++i) {
        message[i] = static_cast<std::uint8_t>(i);
    }
    constexpr HashKey key{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908};
    EXPECT_EQ(keyed_hash(key, message), 0xa129'ca61'49be'45e5ULL);
}

// RFC 8439, 2.3.2.
TEST(Random, is_chacha20) {
    Random::Key key{};
    for (std::uint32_t i = 0; i < key.size(); ++i) {
        key[i] = (4 * i + 3) << 24 | (4 * i + 2) << 16 | (4 * i + 1) << 8 | 4 * i;
    }
    const auto block = chacha20_block(key, 1, {0x0900'0000, 0x4a00'0000, 0});
    EXPECT_EQ(block[0], 0xe4e7'f110U);
    EXPECT_EQ(block[15], 0x4e3c'50a2U);
}

TEST(Random, does_not_repeat_and_depends_on_its_key) {
    Random random{Random::Key{1}};
    Random other{Random::Key{2}};
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 1000; ++i) {
        seen.insert(random.next());
        seen.insert(other.next());
    }
    EXPECT_GT(seen.size(), 1990U);
}

TEST(Random, seeds_come_from_the_pool_and_differ) {
    random::Pool pool;
    const auto take = [&](std::span<std::byte> out) { return pool.take(out); };
    EXPECT_FALSE(gather_seed(take).sound) << "nothing was put into the pool";
    const std::array<std::byte, 32> chance{std::byte{1}};
    pool.add(chance, random::Pool::seed_bits);
    const Seed seed = gather_seed(take);
    EXPECT_TRUE(seed.sound);
    EXPECT_NE(seed.key, gather_seed(take).key);
}

TEST(Random, a_seed_is_what_the_pool_gave) {
    // The clock alone would make two seeds differ: what the pool gives must be asked for whole.
    std::size_t asked = 0;
    const Seed seed = gather_seed([&](std::span<std::byte> out) -> Result<> {
        asked = out.size();
        return {};
    });
    EXPECT_TRUE(seed.sound);
    EXPECT_EQ(asked, sizeof(Random::Key));
}

}  // namespace
}  // namespace pv::net
