// Bins keep their number bounded and lose nothing when they merge.
// SPDX-License-Identifier: MIT
#include "report/bins.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace {

struct Sum {
    std::uint64_t count = 0;

    void merge(const Sum& other) { count += other.count; }
};

std::uint64_t total(const pv::report::Bins<Sum>& bins) {
    std::uint64_t result = 0;
    for (const Sum& bin : bins.values()) {
        result += bin.count;
    }
    return result;
}

TEST(Bins, CountEveryAdditionInAtMostTheLimit) {
    pv::report::Bins<Sum> bins(64);
    std::uint64_t added = 0;
    for (std::int64_t time = 0; time < 5'000'000; time += 777) {
        ++bins.at(time).count;
        ++added;
        ASSERT_LE(bins.values().size(), 64U);
    }
    EXPECT_EQ(total(bins), added);
    EXPECT_EQ(bins.width(), 131072);  // the smallest power of two of which 64 cover 5 s
}

TEST(Bins, PutAMomentIntoItsOwnPiece) {
    pv::report::Bins<Sum> bins(4);
    for (const std::int64_t time : {0, 1, 2, 3, 9, 10, 15}) {
        ++bins.at(time).count;
    }
    ASSERT_EQ(bins.width(), 4);
    ASSERT_EQ(bins.values().size(), 4U);
    EXPECT_EQ(bins.values()[0].count, 4U);
    EXPECT_EQ(bins.values()[1].count, 0U);
    EXPECT_EQ(bins.values()[2].count, 2U);
    EXPECT_EQ(bins.values()[3].count, 1U);
}

TEST(Bins, TakeTheFarthestMomentFirst) {
    pv::report::Bins<Sum> bins(8);
    bins.at(std::int64_t{1} << 60).count = 1;
    bins.at(0).count = 1;
    EXPECT_LE(bins.values().size(), 8U);
    EXPECT_EQ(total(bins), 2U);
}

TEST(Bins, CoverAlignsWidths) {
    pv::report::Bins<Sum> first(16);
    pv::report::Bins<Sum> second(16);
    ++first.at(1000).count;
    ++second.at(3).count;
    second.cover(1000);
    EXPECT_EQ(first.width(), second.width());
    EXPECT_EQ(total(second), 1U);
}

}  // namespace
