// PRP entries for every offset and length that fit, against the bytes they name.
// SPDX-License-Identifier: MIT
#include "device/nvme/prp.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pv::nvme {
namespace {

constexpr BusAddress list_at{0x7000};

/// What the controller would touch, piece by piece (Base 2.0, 4.1.1).
std::vector<std::uint64_t> pages_of(const Prp& prp, std::size_t length, const std::vector<le64>& list) {
    std::vector<std::uint64_t> pages{prp.prp1};
    const std::size_t first = page_size - prp.prp1 % page_size;
    if (length <= first) {
        EXPECT_EQ(prp.prp2, 0U);
        return pages;
    }
    const std::size_t more = (length - first + page_size - 1) / page_size;
    if (more == 1) {
        pages.push_back(prp.prp2);
        return pages;
    }
    EXPECT_EQ(prp.prp2, list_at.value());
    EXPECT_EQ(prp.list_entries, more);
    for (std::size_t i = 0; i < more; ++i) {
        pages.push_back(list[i]);
    }
    return pages;
}

TEST(Prp, EveryOffsetAndManyLengths) {
    std::vector<le64> list(prp_entries_per_page);
    for (std::uint64_t offset = 0; offset < page_size; offset += 4) {
        for (std::size_t length = 512; length <= 6 * page_size; length += 512) {
            const BusAddress data{0x123450000 + offset};
            const auto prp = build_prp(data, length, page_shift, list, list_at);
            ASSERT_TRUE(prp);
            const auto pages = pages_of(*prp, length, list);
            std::uint64_t next = data.value();
            for (std::size_t i = 0; i < pages.size(); ++i) {
                ASSERT_EQ(pages[i], next);
                ASSERT_TRUE(i == 0 || next % page_size == 0);
                next = (next / page_size + 1) * page_size;
            }
            ASSERT_GE(next, data.value() + length);
            ASSERT_LT(next - page_size, data.value() + length);
        }
    }
}

TEST(Prp, LongestTransferFitsAtAnyOffset) {
    std::vector<le64> list(prp_entries_per_page);
    const std::size_t longest = longest_transfer(prp_entries_per_page, page_shift);
    for (std::uint64_t offset : {0U, 4U, 512U, 4092U}) {
        EXPECT_TRUE(build_prp(BusAddress{0x10000 + offset}, longest, page_shift, list, list_at)) << offset;
    }
    EXPECT_FALSE(build_prp(BusAddress{0x10004}, longest + page_size, page_shift, list, list_at));
}

TEST(Prp, RefusesWhatTheSpecificationForbids) {
    std::vector<le64> list(8);
    EXPECT_FALSE(build_prp(BusAddress{0x1000}, 0, page_shift, list, list_at));
    for (std::uint64_t offset : {1U, 2U, 3U}) {
        EXPECT_FALSE(build_prp(BusAddress{0x1000 + offset}, 512, page_shift, list, list_at));
    }
    EXPECT_FALSE(build_prp(BusAddress{~std::uint64_t{0} - 3}, 4096, page_shift, list, list_at)) << "wraps";
    EXPECT_TRUE(build_prp(BusAddress{0x1000}, 9 * page_size, page_shift, list, list_at));
    EXPECT_FALSE(build_prp(BusAddress{0x1000}, 10 * page_size, page_shift, list, list_at))
        << "list too short";
    EXPECT_FALSE(build_prp(BusAddress{0x1000}, 9 * page_size, page_shift, list, BusAddress{0x7fc8}))
        << "list crosses its page";
}

}  // namespace
}  // namespace pv::nvme
