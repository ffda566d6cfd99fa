// Pieces of buffers by frame: found by their bytes, gone without a trace.
// SPDX-License-Identifier: MIT
#include "ownership/ranges.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace pv::ownership {
namespace {

constexpr std::uint64_t limit = 1 << 20;

std::size_t hits(const Ranges& ranges, std::uint64_t physical, std::size_t size) {
    std::size_t count = 0;
    ranges.overlapping(physical, size, [&](std::uint32_t) { ++count; });
    return count;
}

TEST(OwnershipRanges, ABufferOverThreeFramesIsFoundInEach) {
    Ranges ranges{limit, 100};
    std::uint32_t first = 0;
    ASSERT_TRUE(ranges.add(1, first, 0x1ff0, 0x1020, BufferRole::from_device));
    EXPECT_EQ(hits(ranges, 0x1fef, 1), 0U);
    EXPECT_EQ(hits(ranges, 0x1fef, 2), 1U);
    EXPECT_EQ(hits(ranges, 0x2800, 8), 1U);
    EXPECT_EQ(hits(ranges, 0x300f, 1), 1U);
    EXPECT_EQ(hits(ranges, 0x3010, 1), 0U);
    for (const std::uint64_t page : {0x1000U, 0x2000U, 0x3000U}) {
        EXPECT_TRUE(ranges.stores().contains(page) && ranges.loads().contains(page));
    }
    ranges.clear(first);
    EXPECT_EQ(first, 0U);
    for (const std::uint64_t page : {0x1000U, 0x2000U, 0x3000U}) {
        EXPECT_FALSE(ranges.stores().contains(page) || ranges.loads().contains(page));
    }
    EXPECT_EQ(ranges.written(), 0U);
}

TEST(OwnershipRanges, RoomAndMemoryEnd) {
    Ranges ranges{limit, 3};
    std::uint32_t first = 0;
    EXPECT_FALSE(ranges.add(1, first, 0, 5 * page_size, BufferRole::to_device));
    ranges.clear(first);
    EXPECT_TRUE(ranges.add(1, first, limit - 8, ~std::uint64_t{0}, BufferRole::to_device));
    EXPECT_TRUE(ranges.add(1, first, ~std::uint64_t{0}, 8, BufferRole::to_device));
    EXPECT_EQ(hits(ranges, limit - 1, 1), 1U);
}

TEST(OwnershipRanges, TheSetsOfFramesSayWhatTheListsSay) {
    Ranges ranges{limit, 10'000};
    std::mt19937 random{1};
    std::vector<std::uint32_t> owners(40);
    std::vector<std::tuple<std::uint64_t, std::uint64_t, BufferRole>> plain(owners.size());
    for (unsigned step = 0; step < 20'000; ++step) {
        const std::size_t owner = random() % owners.size();
        ranges.clear(owners[owner]);
        const std::uint64_t begin = random() % (limit / 4);
        const std::uint64_t length = 1 + random() % 9'000;
        const auto role = static_cast<BufferRole>(1 + random() % 4);
        plain[owner] = {begin, length, role};
        ASSERT_TRUE(ranges.add(static_cast<std::uint32_t>(owner), owners[owner], begin, length, role));
        const std::uint64_t at = random() % (limit / 4);
        std::size_t expected = 0;
        bool loads = false;
        const std::uint64_t page = at / page_size;
        for (const auto& [from, size, what] : plain) {
            expected += size != 0 && at >= from && at < from + size ? 1 : 0;
            loads = loads || (size != 0 && what == BufferRole::from_device && from / page_size <= page &&
                              page <= (from + size - 1) / page_size);
        }
        ASSERT_EQ(hits(ranges, at, 1), expected);
        ASSERT_EQ(ranges.loads().contains(at), loads);
    }
}

}  // namespace
}  // namespace pv::ownership
