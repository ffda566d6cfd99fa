// Ranges with a value each: what is said last counts, whatever was said before of the same bytes.
// SPDX-License-Identifier: MIT
#include "checks/model/range_map.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <random>

namespace pv::checks {
namespace {

constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

TEST(RangeMapTest, TheLastSaidCountsAndCutsWhatWasThere) {
    RangeMap<int> map;
    map.set(0x1000, 0x3000, 1);
    map.set(0x2000, 0x1000, 2);
    EXPECT_EQ(map.size(), 3U);
    EXPECT_EQ(*map.find(0x1fff).value, 1);
    EXPECT_EQ(*map.find(0x2000).value, 2);
    EXPECT_EQ(*map.find(0x3000).value, 1);
    EXPECT_EQ(map.find(0x4000).value, nullptr);
    map.clear(0x1800, 0x2000);
    EXPECT_EQ(map.find(0x1800, 0x2000).value, nullptr);
    const auto found = map.find(0, top);
    EXPECT_EQ(found.begin, 0x1000U);
    EXPECT_EQ(found.last, 0x17ffU);
}

TEST(RangeMapTest, EndOfTheAddressSpaceDoesNotWrap) {
    RangeMap<int> map;
    map.set(top - 0xfff, 0x2000, 1);
    EXPECT_EQ(map.find(top).last, top);
    EXPECT_EQ(map.find(0).value, nullptr);
    map.set(0, top, 2);
    EXPECT_EQ(*map.find(top).value, 1);
    EXPECT_EQ(*map.find(top - 1).value, 2);
    map.clear(1, 0);
    EXPECT_EQ(map.size(), 2U);
    map.clear(0, top);
    map.clear(top, 1);
    EXPECT_TRUE(map.empty());
}

TEST(RangeMapTest, AgreesWithAnArrayOnRandomRanges) {
    std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same ranges in every run
    RangeMap<unsigned> map;
    std::array<unsigned, 256> bytes{};
    for (unsigned round = 1; round < 2'000; ++round) {
        const std::uint64_t begin = random() % bytes.size();
        const std::uint64_t length = random() % (bytes.size() - begin + 1);
        const bool set = random() % 3 != 0;
        if (set) {
            map.set(begin, length, round);
        } else {
            map.clear(begin, length);
        }
        for (std::uint64_t at = begin; at < begin + length; ++at) {
            bytes.at(at) = set ? round : 0;
        }
        for (std::uint64_t at = 0; at < bytes.size(); ++at) {
            const auto found = map.find(at);
            ASSERT_EQ(found.value == nullptr ? 0 : *found.value, bytes.at(at)) << at;
        }
    }
}

}  // namespace
}  // namespace pv::checks
