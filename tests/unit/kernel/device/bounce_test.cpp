// LEDGER C6: without an IOMMU, devices are told addresses of the pool, and what is theirs stays there.
// SPDX-License-Identifier: MIT
#include "device/dma/bounce.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "device/dma/buffer.hpp"
#include "device/dma/mapping.hpp"
#include "hosted/control.hpp"
#include "memory/direct_map.hpp"

namespace pv::dma {
namespace {

using namespace literals;

constexpr Requester device{0x80};

/// The device's view: whatever lies at a bus address.
std::byte* at(BusAddress bus) {
    return memory::to_pointer(PhysicalAddress{bus.value()});
}

/// The pool is for good, so these tests have a process of their own (bounce-test).
class BounceTest : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        hosted::set_total_frames(16 * 64);
        ASSERT_TRUE(bounce::start());
    }

    void TearDown() override { EXPECT_EQ(bounce::figures().in_use, 0U); }

    static Pages filled(std::size_t length, int value) {
        Pages pages = *Pages::allocate(length);
        std::memset(pages.bytes().data(), value, pages.bytes().size());
        return pages;
    }
};

TEST_F(BounceTest, PoolIsASixteenthOfMemory) {
    EXPECT_EQ(bounce::figures().size, 64 * page_size);
}

TEST_F(BounceTest, DeviceReadsACopy) {
    const Pages pages = filled(page_size, 7);
    Mapping mapping = *Mapping::map(device, pages, 100, 50, Direction::to_device);
    EXPECT_NE(mapping.bus().value(), pages.physical().value() + 100);
    EXPECT_EQ(mapping.bus().page_offset(), 100U);
    EXPECT_EQ(at(mapping.bus())[49], std::byte{7});
    std::memset(at(mapping.bus()), 9, 50);
    mapping.unmap();
    EXPECT_EQ(pages.bytes()[100], std::byte{7});
}

TEST_F(BounceTest, WhatTheDeviceWroteIsThereAfterwardsAndNotBefore) {
    const Pages pages = filled(page_size, 7);
    Mapping mapping = *Mapping::map(device, pages, 8, 16, Direction::from_device);
    std::memset(at(mapping.bus()), 9, 15);  // not all of it: the last byte stays what it was
    EXPECT_EQ(pages.bytes()[8], std::byte{7});
    mapping.unmap();
    EXPECT_EQ(pages.bytes()[7], std::byte{7});
    EXPECT_EQ(pages.bytes()[8], std::byte{9});
    EXPECT_EQ(pages.bytes()[22], std::byte{9});
    EXPECT_EQ(pages.bytes()[23], std::byte{7});
}

TEST_F(BounceTest, ALateTransferReachesThePoolOnly) {
    const Pages pages = filled(page_size, 7);
    Mapping mapping = *Mapping::map(device, pages, 0, page_size, Direction::from_device);
    mapping.quarantine();
    // The owner uses its memory again at once.
    EXPECT_FALSE(pages.quarantined());
    Mapping again = *Mapping::map(device, pages, 0, page_size, Direction::to_device);
    std::memset(at(mapping.bus()), 9, page_size);
    mapping.unmap();
    EXPECT_EQ(pages.bytes()[0], std::byte{7});
    EXPECT_EQ(at(again.bus())[0], std::byte{7});
    again.unmap();
}

TEST_F(BounceTest, BuffersAreSharedNotCopied) {
    Buffer buffer = *Buffer::allocate(device, 512, Direction::bidirectional);
    EXPECT_EQ(at(buffer.bus()), buffer.bytes().data());
    buffer.release();
}

TEST_F(BounceTest, MemoryInPlaceIsNotCopied) {
    const Pages pages = *Pages::allocate_in_place(3 * page_size - 1);
    EXPECT_EQ(bounce::figures().in_use, 3 * page_size);
    EXPECT_EQ(pages.bytes().size(), 3 * page_size);
    Mapping mapping = *Mapping::map(device, pages, 100, 2 * page_size, Direction::from_device);
    EXPECT_EQ(mapping.bus().value(), pages.physical().value() + 100);
    EXPECT_EQ(pages.bytes()[100], std::byte{0});
    *at(mapping.bus()) = std::byte{9};
    EXPECT_EQ(pages.bytes()[100], std::byte{9});
    EXPECT_EQ(bounce::figures().in_use, 3 * page_size);
    mapping.unmap();
}

TEST_F(BounceTest, MemoryInPlaceIsZeroedBeforeItIsGivenAgain) {
    for (int round = 0; round < 2; ++round) {
        const Pages pages = *Pages::allocate_in_place(page_size);
        EXPECT_EQ(pages.bytes()[17], std::byte{0});
        std::memset(pages.bytes().data(), 7, page_size);
    }
}

TEST_F(BounceTest, MemoryInPlaceStaysInQuarantineWithItsDevice) {
    Pages pages = *Pages::allocate_in_place(page_size);
    Mapping mapping = *Mapping::map(device, pages, 0, page_size, Direction::from_device);
    mapping.quarantine();
    EXPECT_TRUE(pages.quarantined());
    EXPECT_EQ(Mapping::map(device, pages, 0, page_size, Direction::to_device).error(), Error::busy);
    pages = Pages{};
    EXPECT_EQ(bounce::figures().in_use, page_size);
    mapping.unmap();
}

TEST_F(BounceTest, MemoryInPlaceLeavesHalfOfThePoolToCopies) {
    const Pages first = *Pages::allocate_in_place(31 * page_size);
    const Pages last = *Pages::allocate_in_place(page_size);
    EXPECT_EQ(bounce::figures().lasting, 32 * page_size);
    // It works all the same.
    const Pages copied = *Pages::allocate_in_place(page_size);
    EXPECT_EQ(bounce::figures().in_use, 32 * page_size);
    Mapping mapping = *Mapping::map(device, copied, 0, page_size, Direction::to_device);
    EXPECT_NE(mapping.bus().value(), copied.physical().value());
    mapping.unmap();
}

TEST_F(BounceTest, AFullPoolIsWaitedForUntilTheDeadline) {
    const Pages pages = filled(64 * page_size, 7);
    Mapping all = *Mapping::map(device, pages, 0, 64 * page_size, Direction::to_device);
    EXPECT_EQ(Mapping::map(device, pages, 0, 1, Direction::to_device).error(), Error::busy);
    EXPECT_EQ(Mapping::map(device, pages, 0, 1, Direction::to_device, Deadline::after(20_ms)).error(),
              Error::timed_out);
    std::thread owner{[&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        all.unmap();
    }};
    auto waited = Mapping::map(device, pages, 0, 1, Direction::to_device, Deadline::after(10_s));
    owner.join();
    ASSERT_TRUE(waited);
    waited->unmap();
}

TEST_F(BounceTest, MoreThanThePoolIsRefused) {
    const Pages pages = filled(128 * page_size, 7);
    EXPECT_EQ(
        Mapping::map(device, pages, 0, 65 * page_size, Direction::to_device, Deadline::after(1_s)).error(),
        Error::out_of_range);
}

}  // namespace
}  // namespace pv::dma
