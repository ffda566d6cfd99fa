// Durations, instants and deadlines: saturation and expiry. Byte order. Vectors that fail.
// SPDX-License-Identifier: MIT
#include "base/time.hpp"

#include <gtest/gtest.h>

#include "base/deadline.hpp"
#include "base/endian.hpp"
#include "base/vector.hpp"
#include "hosted/control.hpp"

namespace pv {
namespace {

using namespace literals;

TEST(Time, Saturates) {
    EXPECT_EQ(1_s - 2_s, 0_ns);
    EXPECT_EQ(Duration::max() + 1_ns, Duration::max());
    EXPECT_EQ(Duration::max() * 2, Duration::max());
    EXPECT_EQ(Duration::seconds(~0ULL), Duration::max());
    EXPECT_EQ(Instant() - Instant::since_boot(1_s), 0_ns);
    EXPECT_EQ(Instant::max() + 1_s, Instant::max());
    EXPECT_LT(999_us, 1_ms);
}

class DeadlineTest : public testing::Test {
  protected:
    ~DeadlineTest() override { hosted::release_clock(); }
};

TEST_F(DeadlineTest, ExpiresAtItsInstant) {
    hosted::hold_clock(Instant::since_boot(10_s));
    const Deadline deadline = Deadline::after(5_ms);
    EXPECT_FALSE(deadline.expired());
    EXPECT_EQ(deadline.remaining(), 5_ms);
    hosted::hold_clock(deadline.instant());
    EXPECT_TRUE(deadline.expired());
    EXPECT_EQ(deadline.remaining(), 0_ns);
    EXPECT_TRUE(Deadline::after(0_ns).expired());
}

TEST_F(DeadlineTest, NeverIsLater) {
    const Deadline never = Deadline::never("a test");
    EXPECT_TRUE(never.is_never());
    hosted::hold_clock(Instant::max());
    EXPECT_FALSE(never.expired());
    EXPECT_EQ(never.remaining(), Duration::max());
    EXPECT_STREQ(never.reason(), "a test");
    EXPECT_FALSE(earlier(never, Deadline::at(Instant::since_boot(1_s))).is_never());
}

TEST_F(DeadlineTest, FarFutureIsNotNever) {
    hosted::hold_clock(Instant::since_boot(1_s));
    const Deadline far = Deadline::after(Duration::max());
    EXPECT_FALSE(far.is_never());
    EXPECT_FALSE(far.expired());
}

TEST(Endian, KeepsItsOrder) {
    const le32 little = 0x11223344;
    const be32 big = 0x11223344;
    unsigned char bytes[4];
    std::memcpy(bytes, &little, 4);
    EXPECT_EQ(bytes[0], 0x44);
    std::memcpy(bytes, &big, 4);
    EXPECT_EQ(bytes[0], 0x11);
    EXPECT_EQ(big, 0x11223344U);
}

TEST(Endian, ReadsOnlyWhatIsThere) {
    const std::array<std::byte, 6> bytes{};
    EXPECT_TRUE(read_at<le32>(bytes, 2));
    EXPECT_FALSE(read_at<le32>(bytes, 3));
    EXPECT_FALSE(read_at<le32>(bytes, 6));
    EXPECT_FALSE(read_at<le32>(bytes, ~std::size_t{0} - 1));
}

TEST(Vector, GrowsMovesAndChecks) {
    Vector<std::unique_ptr<int>> vector;
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(vector.push_back(std::make_unique<int>(i)));
    }
    Vector<std::unique_ptr<int>> other = std::move(vector);
    EXPECT_EQ(vector.size(), 0U);
    ASSERT_EQ(other.size(), 1000U);
    EXPECT_EQ(*other[999], 999);
    other.pop_back();
    EXPECT_DEATH(static_cast<void>(other[999]), "broken invariant: index < size_");
    EXPECT_EQ(other.reserve(~std::size_t{0} / 2).error(), Error::out_of_memory);
    EXPECT_EQ(other.size(), 999U);
}

}  // namespace
}  // namespace pv
