// Regions of an address space against a plain model: one entry a page.
// SPDX-License-Identifier: MIT
#include "memory/regions.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace pv::memory {
namespace {

constexpr std::uint64_t pages = 64;

UserAddress page(std::uint64_t n) {
    return UserAddress(n * page_size);
}

/// What each page is: its rights as three bits, 0 where nothing is mapped and 8 for a mapping without rights.
using Model = std::map<std::uint64_t, unsigned>;

Rights rights(unsigned bits) {
    return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
}

unsigned kind(Rights r) {
    return 8U | (r.read ? 1U : 0U) | (r.write ? 2U : 0U) | (r.execute ? 4U : 0U);
}

void set_rights(RegionMap& map, UserAddress begin, UserAddress end, Rights wanted) {
    map.change(begin, end, [&](Contents& contents) { contents.rights = wanted; });
}

void expect_same(RegionMap& map, const Model& model) {
    std::uint64_t bytes = 0;
    for (std::uint64_t n = 0; n < pages; ++n) {
        const Region* region = map.find(page(n));
        const auto at = model.find(n);
        ASSERT_EQ(region != nullptr, at != model.end()) << "page " << n;
        if (region != nullptr) {
            EXPECT_EQ(kind(region->contents().rights), at->second) << "page " << n;
            bytes += page_size;
        }
    }
    EXPECT_EQ(map.bytes(), bytes);
    // Neighbours that are alike are one region.
    for (Region* region = map.first_above(page(0)); region != nullptr; region = map.next(*region)) {
        const Region* after = map.next(*region);
        if (after != nullptr) {
            ASSERT_LE(region->end(), after->begin());
            EXPECT_FALSE(region->end() == after->begin() &&
                         region->contents().rights == after->contents().rights);
        }
    }
}

TEST(Regions, RandomWorkAgainstAModel) {
    std::mt19937 random(7);
    const auto below = [&](std::uint64_t n) {
        return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random);
    };
    for (int round = 0; round < 40; ++round) {
        RegionMap map;
        Model model;
        for (int step = 0; step < 200; ++step) {
            const std::uint64_t begin = below(pages);
            const std::uint64_t end = begin + 1 + below(pages - begin);
            const Rights wanted = rights(static_cast<unsigned>(below(8)));
            ASSERT_TRUE(map.split(page(begin)));
            ASSERT_TRUE(map.split(page(end)));
            if (below(3) == 0) {
                set_rights(map, page(begin), page(end), wanted);
                for (std::uint64_t n = begin; n < end; ++n) {
                    if (model.contains(n)) {
                        model[n] = kind(wanted);
                    }
                }
            } else {
                map.remove(page(begin), page(end));
                model.erase(model.lower_bound(begin), model.lower_bound(end));
                if (below(2) == 0) {
                    Contents contents;
                    contents.rights = wanted;
                    ASSERT_TRUE(map.add(page(begin), page(end), contents));
                    for (std::uint64_t n = begin; n < end; ++n) {
                        model[n] = kind(wanted);
                    }
                } else {
                    // A split that nothing used is undone where the two sides are alike.
                    set_rights(map, page(begin), page(begin), wanted);
                }
            }
        }
        // What splits left apart is joined when rights are set again.
        for (std::uint64_t n = 0; n < pages; ++n) {
            if (const auto at = model.find(n); at != model.end()) {
                ASSERT_TRUE(map.split(page(n)));
                ASSERT_TRUE(map.split(page(n + 1)));
                set_rights(map, page(n), page(n + 1), rights(at->second & 7));
            }
        }
        expect_same(map, model);
        RegionMap copy;
        for (Region* region = map.first_above(page(0)); region != nullptr; region = map.next(*region)) {
            ASSERT_TRUE(copy.append(*region));
        }
        expect_same(copy, model);
    }
}

TEST(Regions, WhatIsSaidOfAPartKeepsItApart) {
    RegionMap map;
    ASSERT_TRUE(map.add(page(10), page(20), {}));
    ASSERT_TRUE(map.split(page(14)));
    map.change(page(14), page(20), [](Contents& contents) { contents.advice.large = Advice::Large::wanted; });
    EXPECT_EQ(map.count(), 2U);
    EXPECT_EQ(map.find(page(13))->contents().advice, Advice());
    map.change(page(10), page(14), [](Contents& contents) { contents.advice.large = Advice::Large::wanted; });
    EXPECT_EQ(map.count(), 1U);
    EXPECT_EQ(map.find(page(10))->contents().advice.large, Advice::Large::wanted);
}

TEST(Regions, GapsAreTheHighestThatFit) {
    RegionMap map;
    const Contents contents;
    ASSERT_TRUE(map.add(page(10), page(20), contents));
    ASSERT_TRUE(map.add(page(30), page(40), contents));
    EXPECT_EQ(map.find_gap(5 * page_size, page(0), page(64)), page(59));
    EXPECT_EQ(map.find_gap(5 * page_size, page(0), page(42)), page(25));
    EXPECT_EQ(map.find_gap(10 * page_size, page(0), page(40)), page(20));
    EXPECT_EQ(map.find_gap(10 * page_size, page(0), page(35)), page(20));
    EXPECT_EQ(map.find_gap(10 * page_size, page(0), page(29)), page(0));
    EXPECT_EQ(map.find_gap(11 * page_size, page(0), page(35)).error(), Error::out_of_memory);
    EXPECT_EQ(map.find_gap(1 * page_size, page(12), page(18)).error(), Error::out_of_memory);
    EXPECT_EQ(map.find_gap(0, page(0), page(64)).error(), Error::out_of_memory);
    EXPECT_EQ(map.find_gap(~std::uint64_t{0}, page(0), page(64)).error(), Error::out_of_memory);
}

class OnePage final : public PageSource {
  public:
    Result<PhysicalAddress> page(std::uint64_t) override { return fail(Error::io); }
};

TEST(Regions, PiecesOfAFileKnowTheirPlaceInIt) {
    RegionMap map;
    Contents contents;
    contents.source = Ref<PageSource>::adopt(new OnePage);
    contents.offset = 100;
    ASSERT_TRUE(map.add(page(10), page(20), contents));
    ASSERT_TRUE(map.split(page(14)));
    ASSERT_EQ(map.count(), 2U);
    EXPECT_EQ(map.find(page(15))->source_page(page(15)), 105U);
    map.remove(page(10), page(14));
    EXPECT_EQ(map.find(page(19))->source_page(page(19)), 109U);
    // The part that comes before joins again, another part of the file does not.
    ASSERT_TRUE(map.add(page(10), page(14), contents));
    EXPECT_EQ(map.count(), 1U);
    contents.offset = 111;
    ASSERT_TRUE(map.add(page(20), page(21), contents));
    EXPECT_EQ(map.count(), 2U);
}

}  // namespace
}  // namespace pv::memory
