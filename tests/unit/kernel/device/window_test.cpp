// LEDGER C20: range, width and alignment of register accesses are checked in every build.
// SPDX-License-Identifier: MIT
#include "device/mmio/window.hpp"

#include <gtest/gtest.h>

#include <array>

namespace pv::mmio {
namespace {

class WindowTest : public testing::Test {
  protected:
    alignas(8) std::array<std::byte, 64> memory_{};
    Window window_{memory_.data(), memory_.size(), PhysicalAddress{0xfe000000}, "fake"};
};

TEST_F(WindowTest, ReadsAndWritesOfItsWidth) {
    window_.write(Register<std::uint32_t>{8}, 0x11223344U);
    EXPECT_EQ(window_.read(Register<std::uint16_t>{8}), 0x3344);
    EXPECT_EQ(window_.read(Register<std::uint8_t>{11}), 0x11);
    EXPECT_EQ(window_.read(Register<std::uint64_t>{8}), 0x11223344U);
    EXPECT_EQ(window_.read(Register<std::uint32_t>{60}), 0U);
}

TEST_F(WindowTest, ContainsNoMoreThanThereIs) {
    EXPECT_TRUE(window_.contains(60, 4));
    EXPECT_FALSE(window_.contains(61, 4));
    EXPECT_FALSE(window_.contains(62, 4));
    EXPECT_FALSE(window_.contains(64, 1));
    EXPECT_FALSE(window_.contains(~std::size_t{0} - 1, 4));
    EXPECT_FALSE(window_.contains(2, 4)) << "misaligned";
}

using WindowDeathTest = WindowTest;

TEST_F(WindowDeathTest, AccessOutsideNeverReachesTheBus) {
    EXPECT_DEATH((void)window_.read(Register<std::uint32_t>{64}),
                 "mmio: read of 4 bytes at offset 0x40 of fake");
    EXPECT_DEATH(window_.write(Register<std::uint64_t>{60}, std::uint64_t{1}), "mmio: write of 8 bytes");
    EXPECT_DEATH((void)window_.read(Register<std::uint32_t>{2}), "mmio");
    EXPECT_DEATH((void)Window{}.read(Register<std::uint8_t>{0}), "mmio");
}

TEST_F(WindowTest, PartsStayInside) {
    const auto part = window_.part(16, 16, "part");
    ASSERT_TRUE(part);
    part->write(Register<std::uint32_t>{0}, 5U);
    EXPECT_EQ(window_.read(Register<std::uint32_t>{16}), 5U);
    EXPECT_EQ(part->physical().value(), 0xfe000010U);
    EXPECT_FALSE(window_.part(60, 8, "part"));
    EXPECT_FALSE(window_.part(65, 0, "part"));
    EXPECT_FALSE(window_.part(8, ~std::size_t{0}, "part"));
}

}  // namespace
}  // namespace pv::mmio
