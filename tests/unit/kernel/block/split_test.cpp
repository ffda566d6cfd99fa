// LEDGER H3: a request of any length is split without loss.
// SPDX-License-Identifier: MIT
#include "block/split.hpp"

#include <gtest/gtest.h>

namespace pv::block {
namespace {

TEST(Splitter, CoversEveryBlockOnceInOrder) {
    for (std::uint64_t limit : {1U, 2U, 7U, 8U, 1024U}) {
        for (std::uint64_t blocks = 0; blocks < 50; ++blocks) {
            Splitter splitter{1000, blocks, limit, 512};
            std::uint64_t next = 1000;
            while (const auto piece = splitter.next()) {
                EXPECT_EQ(piece->first, next);
                EXPECT_GE(piece->blocks, 1U);
                EXPECT_LE(piece->blocks, limit);
                EXPECT_EQ(piece->offset, (next - 1000) * 512);
                next += piece->blocks;
            }
            EXPECT_EQ(next, 1000 + blocks);
        }
    }
}

TEST(Splitter, LengthBeyondSixteenAndThirtyTwoBits) {
    constexpr std::uint64_t blocks = (std::uint64_t{1} << 33) + 5;
    Splitter splitter{1, blocks, 65536, 512};
    std::uint64_t total = 0;
    std::uint64_t last_offset = 0;
    while (const auto piece = splitter.next()) {
        total += piece->blocks;
        last_offset = piece->offset;
    }
    EXPECT_EQ(total, blocks);
    EXPECT_EQ(last_offset, (blocks / 65536) * 65536 * 512);
}

}  // namespace
}  // namespace pv::block
