// Sizes and places of base address registers, and those that cannot be believed.
// SPDX-License-Identifier: MIT
#include "device/pci/bar.hpp"

#include <gtest/gtest.h>

#include "fake_config.hpp"

namespace pv::pci {
namespace {

class BarTest : public testing::Test {
  protected:
    Result<Bar> probe(unsigned index, std::span<const PhysicalRange> occupied = {}) {
        config_.put16(0x04, 0x0007);
        const Function function{config_, Address{}};
        const auto before = config_.bytes;
        auto bar = probe_bar(function, index, occupied);
        EXPECT_EQ(config_.bytes, before) << "registers are not as they were";
        EXPECT_FALSE(config_.decoding_while_sizing);
        return bar;
    }

    FakeConfig config_;
};

TEST_F(BarTest, ThirtyTwoBits) {
    config_.set_bar(1, 0xfffff000, 0x0, 0xfebf1000);
    const auto bar = probe(1);
    ASSERT_TRUE(bar);
    EXPECT_EQ(bar->address.value(), 0xfebf1000U);
    EXPECT_EQ(bar->size, 0x1000U);
    EXPECT_FALSE(bar->prefetchable);
}

TEST_F(BarTest, SixtyFourBitsAboveFourGigabytes) {
    config_.set_bar(0, 0xffffc000, 0xc, 0x00004000);
    config_.set_bar(1, 0xffffffff, 0x0, 0x000000e0);
    const auto bar = probe(0);
    ASSERT_TRUE(bar);
    EXPECT_EQ(bar->address.value(), 0xe000004000U);
    EXPECT_EQ(bar->size, 0x4000U);
    EXPECT_TRUE(bar->prefetchable);
}

TEST_F(BarTest, SixtyFourGigabytes) {
    config_.set_bar(0, 0x00000000, 0xc, 0);
    config_.set_bar(1, 0xfffffff0, 0x0, 0x00000010);
    const auto bar = probe(0);
    ASSERT_TRUE(bar);
    EXPECT_EQ(bar->size, std::uint64_t{64} << 30);
}

TEST_F(BarTest, WhatIsNotThere) {
    config_.set_bar(2, 0, 0, 0);  // wired to zero
    EXPECT_EQ(probe(2).error(), Error::not_found);
    config_.set_bar(3, 0xffffff00, 0x1, 0xc000);  // ports
    EXPECT_EQ(probe(3).error(), Error::not_found);
    EXPECT_EQ(probe(6).error(), Error::invalid_argument);
}

TEST_F(BarTest, WhatCannotBe) {
    config_.set_bar(0, 0xfffff000, 0x0, 0);  // nobody assigned it
    EXPECT_EQ(probe(0).error(), Error::corrupt);
    config_.set_bar(1, 0xfff0f000, 0x0, 0xfeb00000);  // a mask with holes
    EXPECT_EQ(probe(1).error(), Error::corrupt);
    config_.set_bar(5, 0xfffff000, 0x4, 0xfeb00000);  // a pair without its other half
    EXPECT_EQ(probe(5).error(), Error::corrupt);
    config_.set_bar(2, 0xfffff000, 0x4, 0xfffff000);  // beyond what the processor can name
    config_.set_bar(3, 0xffffffff, 0x0, 0xffffffff);
    EXPECT_EQ(probe(2).error(), Error::corrupt);
}

TEST_F(BarTest, OverlapWithMemoryIsRefused) {
    config_.set_bar(0, 0xfffff000, 0x0, 0x00100000);
    const std::array memory{PhysicalRange{0, 0x100001}};
    EXPECT_EQ(probe(0, memory).error(), Error::corrupt);
    const std::array below{PhysicalRange{0, 0x100000}};
    EXPECT_TRUE(probe(0, below));
}

}  // namespace
}  // namespace pv::pci
