// Memory maps as loaders give them, and as none should. Ranges of address space.
// SPDX-License-Identifier: MIT
#include "memory/memory_map.hpp"

#include <gmock/gmock.h>

#include <random>
#include <set>
#include <vector>

#include "memory/range_allocator.hpp"

namespace pv::memory {
namespace {

constexpr std::uint64_t no_limit = 1ULL << 46;

std::vector<Range> ram_of(const std::vector<MapEntry>& map, std::uint64_t limit = no_limit) {
    std::vector<Range> out(2 * map.size() + 1);
    const auto used = usable_ram(map, limit, out);
    return {used.begin(), used.end()};
}

TEST(MemoryMap, OfAnOrdinaryMachine) {
    EXPECT_THAT(ram_of({{0, 0x9fc00, 1, 0},
                        {0x9fc00, 0x400, 2, 0},
                        {0x10'0000, 0x7fee'0000, 1, 0},
                        {0xb000'0000, 0x1000'0000, 2, 0},
                        {0x1'0000'0000, 0x3'8000'0000, 1, 0}}),
                testing::ElementsAre(Range{0, 0x9f000}, Range{0x10'0000, 0x7ffe'0000},
                                     Range{0x1'0000'0000, 0x4'8000'0000}));
}

TEST(MemoryMap, UnsortedOverlappingAndTouching) {
    EXPECT_THAT(ram_of({{0x5000, 0x3000, 1, 0}, {0x1000, 0x2000, 1, 0}, {0x3000, 0x3000, 1, 0}}),
                testing::ElementsAre(Range{0x1000, 0x8000}));
}

TEST(MemoryMap, ReservedWins) {
    EXPECT_THAT(ram_of({{0x1000, 0xf000, 1, 0}, {0x4000, 0x800, 2, 0}}),
                testing::ElementsAre(Range{0x1000, 0x4000}, Range{0x5000, 0x10000}));
}

TEST(MemoryMap, Nonsense) {
    EXPECT_TRUE(ram_of({}).empty());
    EXPECT_TRUE(ram_of({{0x1000, 0, 1, 0}, {0x1234, 0x100, 1, 0}}).empty());
    EXPECT_THAT(ram_of({{0x1000, ~0ULL, 1, 0}}, 0x9000), testing::ElementsAre(Range{0x1000, 0x9000}));
    EXPECT_TRUE(ram_of({{~0ULL - 100, 4096, 1, 0}}).empty());
}

TEST(RangeAllocator, RandomWorkAgainstAModel) {
    RangeAllocator ranges(1000, 1000 + 5000);
    std::mt19937 random(5);
    std::map<std::uint64_t, std::uint64_t> out;
    for (int i = 0; i < 20'000; ++i) {
        if (random() % 2 == 0) {
            const std::uint64_t size = 1 + random() % 40;
            const auto begin = ranges.allocate(size);
            if (begin) {
                ASSERT_GE(*begin, 1000U);
                ASSERT_LE(*begin + size, 6000U);
                const auto after = out.lower_bound(*begin);
                ASSERT_TRUE(after == out.end() || *begin + size <= after->first);
                ASSERT_TRUE(after == out.begin() ||
                            std::prev(after)->first + std::prev(after)->second <= *begin);
                out[*begin] = size;
            }
        } else if (!out.empty()) {
            const auto at = std::next(out.begin(), static_cast<std::ptrdiff_t>(random() % out.size()));
            ranges.free(at->first, at->second);
            out.erase(at);
        }
    }
    for (const auto& [begin, size] : out) {
        ranges.free(begin, size);
    }
    EXPECT_EQ(ranges.in_use(), 0U);
    EXPECT_FALSE(ranges.allocate(0));
    EXPECT_FALSE(ranges.allocate(5001));
}

}  // namespace
}  // namespace pv::memory
