// LEDGER C21: memory a device may still use does not go back to the allocator.
// SPDX-License-Identifier: MIT
#include "device/dma/mapping.hpp"

#include <gtest/gtest.h>

#include "hosted/control.hpp"
#include "memory/frames.hpp"

namespace pv::dma {
namespace {

constexpr Requester device{0x80};

class MappingTest : public testing::Test {
  protected:
    void SetUp() override { (void)hosted::take_markers(); }

    std::vector<std::uint32_t> markers() {
        std::vector<std::uint32_t> numbers;
        for (const auto& marker : hosted::take_markers()) {
            numbers.push_back(marker.number);
        }
        return numbers;
    }

    Statistics before_ = statistics();
};

TEST_F(MappingTest, SaysWhatItMaps) {
    const Pages pages = *Pages::allocate(8192);
    auto mapping = Mapping::map(device, pages, 4096, 100, Direction::from_device);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(mapping->bus().value(), pages.physical().value() + 4096);
    const auto marks = hosted::take_markers();
    ASSERT_EQ(marks.size(), 1U);
    EXPECT_EQ(marks[0].number, static_cast<std::uint32_t>(PV_MARKER_dma_map));
    EXPECT_EQ(marks[0].args,
              (std::array<std::uint64_t, 6>{0x80, mapping->id(), mapping->bus().value(),
                                            pages.physical().value() + 4096, 100, PV_DMA_FROM_DEVICE}));
    mapping->unmap();
    mapping->unmap();
    EXPECT_EQ(markers(), (std::vector<std::uint32_t>{PV_MARKER_dma_unmap}));
    EXPECT_EQ(statistics().live, before_.live);
}

TEST_F(MappingTest, RefusesWhatIsNotInside) {
    const Pages pages = *Pages::allocate(4096);
    const std::size_t size = pages.bytes().size();
    EXPECT_FALSE(Mapping::map(device, pages, 0, 0, Direction::to_device));
    EXPECT_FALSE(Mapping::map(device, pages, 0, size + 1, Direction::to_device));
    EXPECT_FALSE(Mapping::map(device, pages, size, 1, Direction::to_device));
    EXPECT_FALSE(Mapping::map(device, pages, 8, ~std::size_t{0}, Direction::to_device));
    EXPECT_FALSE(Mapping::map(device, Pages{}, 0, 1, Direction::to_device));
}

TEST_F(MappingTest, HoldsItsMemory) {
    Pages pages = *Pages::allocate(4096);
    Mapping mapping = *Mapping::map(device, pages, 0, 4096, Direction::from_device);
    std::byte* memory = pages.bytes().data();
    pages = Pages{};
    memory[0] = std::byte{1};  // the sanitizer knows whether it is still there
    mapping.unmap();
}

TEST_F(MappingTest, QuarantinedMemoryIsNotMappedAgainUntilItIsFree) {
    const Pages pages = *Pages::allocate(4096);
    Mapping mapping = *Mapping::map(device, pages, 0, 4096, Direction::from_device);
    mapping.quarantine();
    mapping.quarantine();
    EXPECT_EQ(statistics().quarantined, before_.quarantined + 1);
    EXPECT_EQ(Mapping::map(device, pages, 0, 512, Direction::to_device).error(), Error::busy);
    mapping.unmap();
    EXPECT_EQ(statistics().quarantined, before_.quarantined);
    auto again = Mapping::map(device, pages, 0, 512, Direction::to_device);
    ASSERT_TRUE(again);
    again->unmap();
}

TEST_F(MappingTest, WhatIsDroppedWhileMappedIsNeverFreed) {
    Pages kept;
    {
        const Pages pages = *Pages::allocate(4096);
        const Mapping mapping = *Mapping::map(device, pages, 0, 4096, Direction::from_device);
        kept = pages;
    }
    EXPECT_EQ(statistics().abandoned, before_.abandoned + 1);
    EXPECT_TRUE(kept.quarantined());
    EXPECT_EQ(markers(), (std::vector<std::uint32_t>{PV_MARKER_dma_map, PV_MARKER_dma_quarantine}));
}

TEST_F(MappingTest, MovingMovesTheDuty) {
    const Pages pages = *Pages::allocate(4096);
    Mapping first = *Mapping::map(device, pages, 0, 4096, Direction::to_device);
    Mapping second = std::move(first);
    EXPECT_TRUE(second);
    first = std::move(second);
    first.unmap();
    EXPECT_EQ(statistics().live, before_.live);
    EXPECT_EQ(statistics().abandoned, before_.abandoned);
}

}  // namespace
}  // namespace pv::dma
