// LEDGER C15: geometry from Identify: 1 MiB and 8 TiB, 512 bytes and 4 KiB; limits; nonsense.
// SPDX-License-Identifier: MIT
#include "device/nvme/namespace.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "device/virtio/block.hpp"

namespace pv::nvme {
namespace {

std::unique_ptr<IdentifyNamespace> identify(std::uint64_t blocks, std::uint8_t shift) {
    auto data = std::make_unique<IdentifyNamespace>();
    data->size = blocks;
    data->formats[0].data_shift = shift;
    return data;
}

constexpr Limits limits{.transfer = 512 * 1024, .write_cache = true};

TEST(Geometry, SmallAndHuge) {
    const auto small = geometry_of(*identify(2048, 9), limits);
    ASSERT_TRUE(small);
    EXPECT_EQ(small->bytes(), std::uint64_t{1} << 20);
    EXPECT_EQ(small->command_blocks, 1024U);
    const auto huge = geometry_of(*identify(std::uint64_t{1} << 31, 12), limits);
    ASSERT_TRUE(huge);
    EXPECT_EQ(huge->bytes(), std::uint64_t{8} << 40);
    EXPECT_EQ(huge->block_size, 4096U);
    EXPECT_EQ(huge->command_blocks, 128U);
}

TEST(Geometry, SixteenBitsOfBlocksAreTheMost) {
    EXPECT_EQ(geometry_of(*identify(1 << 20, 9), {.transfer = std::size_t{1} << 30})->command_blocks, 65536U);
}

TEST(Geometry, Nonsense) {
    EXPECT_EQ(geometry_of(*identify(0, 9), limits).error(), Error::not_found);
    EXPECT_EQ(geometry_of(*identify(1, 8), limits).error(), Error::not_supported);
    EXPECT_EQ(geometry_of(*identify(1, 63), limits).error(), Error::not_supported);
    EXPECT_EQ(geometry_of(*identify(~std::uint64_t{0}, 12), limits).error(), Error::corrupt);
    EXPECT_EQ(geometry_of(*identify(100, 12), {.transfer = 2048}).error(), Error::not_supported);
    auto data = identify(100, 9);
    data->formats[0].metadata_bytes = std::uint16_t{8};
    EXPECT_EQ(geometry_of(*data, limits).error(), Error::not_supported);
    data = identify(100, 9);
    data->current_format = 3;  // there is only format 0
    EXPECT_EQ(geometry_of(*data, limits).error(), Error::corrupt);
}

TEST(Geometry, FormatBeyondSixteen) {
    auto data = identify(100, 9);
    data->format_count = 20;
    data->current_format = 0x20 | 0x01;  // format 17
    data->formats[17].data_shift = 12;
    EXPECT_EQ(geometry_of(*data, limits)->block_size, 4096U);
}

TEST(TransferLimit, MdtsAndTheListBound) {
    EXPECT_EQ(transfer_limit(7, 12), std::size_t{512} * 1024);
    EXPECT_EQ(transfer_limit(1, 12), std::size_t{8} * 1024);
    const std::size_t longest = longest_transfer(prp_entries_per_page, page_shift);
    EXPECT_EQ(transfer_limit(0, 12), longest);
    EXPECT_EQ(transfer_limit(9, 12), longest);
    EXPECT_EQ(transfer_limit(10, 12), longest);
    EXPECT_EQ(transfer_limit(255, 27), longest);
}

TEST(VirtioGeometry, FromConfigurationAndFeatures) {
    using virtio::Feature;
    const auto plain = virtio::geometry_of({.capacity = 131072}, 0, 1 << 20);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->block_size, 512U);
    EXPECT_FALSE(plain->write_cache);
    const auto big = virtio::geometry_of({.capacity = 131072, .block_size = 4096},
                                         Feature::blk_block_size | Feature::blk_flush, 1 << 20);
    ASSERT_TRUE(big);
    EXPECT_EQ(big->blocks, 16384U);
    EXPECT_EQ(big->command_blocks, 256U);
    EXPECT_TRUE(big->write_cache);
    for (std::uint32_t size : {0U, 1U, 256U, 513U, 131072U}) {
        EXPECT_EQ(
            virtio::geometry_of({.capacity = 99999, .block_size = size}, Feature::blk_block_size, 1 << 20)
                .error(),
            Error::corrupt);
    }
    EXPECT_EQ(virtio::geometry_of({.capacity = 0}, 0, 1 << 20).error(), Error::not_found);
    EXPECT_EQ(virtio::geometry_of({.capacity = ~std::uint64_t{0}}, 0, 1 << 20).error(), Error::corrupt);
}

}  // namespace
}  // namespace pv::nvme
