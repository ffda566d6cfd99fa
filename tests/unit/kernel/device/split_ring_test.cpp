// The split ring against a device in memory: order, wrapping, and used indexes that lie.
// SPDX-License-Identifier: MIT
#include "device/virtio/split_ring.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace pv::virtio {
namespace {

class SplitRingTest : public testing::Test {
  protected:
    static constexpr std::size_t entries = 4;

    struct alignas(16) Memory {
        std::array<std::byte, SplitRing::table_bytes(entries)> table{};
        std::array<std::byte, SplitRing::available_bytes(entries)> available{};
        alignas(4) std::array<std::byte, SplitRing::used_bytes(entries)> used{};
    };

    void use(std::uint32_t id, std::uint32_t length) {
        auto* ring = reinterpret_cast<UsedElement*>(memory_->used.data() + sizeof(RingHeader));
        ring[index_ % entries] = UsedElement{id, length};
        set_index(++index_);
    }

    void set_index(std::uint16_t index) {
        reinterpret_cast<RingHeader*>(memory_->used.data())->index = index;
    }

    std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
    SplitRing ring_ = *SplitRing::create(memory_->table, memory_->available, memory_->used, entries);
    std::uint16_t index_ = 0;
};

TEST_F(SplitRingTest, IndexesWrapAtSixteenBits) {
    for (std::uint32_t i = 0; i < 200'000; ++i) {
        const auto head = static_cast<std::uint16_t>(i % entries);
        ASSERT_EQ(ring_.make_available(head), static_cast<std::uint16_t>(i + 1));
        const auto* header = reinterpret_cast<const RingHeader*>(memory_->available.data());
        ASSERT_EQ(header->index.get(), static_cast<std::uint16_t>(i + 1));
        const auto* slots = reinterpret_cast<const le16*>(memory_->available.data() + sizeof(RingHeader));
        ASSERT_EQ(slots[i % entries].get(), head);
        ASSERT_FALSE(ring_.next_used(1));
        use(head, i);
        ASSERT_EQ(ring_.next_used(1), (Used{head, i}));
    }
    EXPECT_FALSE(ring_.broken());
}

TEST_F(SplitRingTest, JumpBeyondWhatIsOutstandingBreaksIt) {
    ring_.make_available(0);
    ring_.make_available(1);
    set_index(3);
    EXPECT_FALSE(ring_.next_used(2));
    EXPECT_TRUE(ring_.broken());
    set_index(1);
    EXPECT_FALSE(ring_.next_used(2)) << "stays broken until it is made anew";
}

TEST_F(SplitRingTest, BackwardsBreaksIt) {
    set_index(0xffff);
    EXPECT_FALSE(ring_.next_used(4));
    EXPECT_TRUE(ring_.broken());
}

TEST_F(SplitRingTest, RefusesImpossibleMemory) {
    auto make = [&](std::size_t count) {
        return SplitRing::create(memory_->table, memory_->available, memory_->used, count);
    };
    EXPECT_FALSE(make(0));
    EXPECT_FALSE(make(1));
    EXPECT_FALSE(make(3));
    EXPECT_FALSE(make(8)) << "memory too short";
    EXPECT_FALSE(make(65536));
    EXPECT_FALSE(
        SplitRing::create(std::span{memory_->table}.subspan(8), memory_->available, memory_->used, 2));
}

}  // namespace
}  // namespace pv::virtio
