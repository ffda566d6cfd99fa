// The packed ring against a device in memory: wrapping, chains of many lengths, events, and ids that lie.
// SPDX-License-Identifier: MIT
#include "device/virtio/packed_ring.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace pv::virtio {
namespace {

class PackedRingTest : public testing::Test {
  protected:
    static constexpr std::size_t entries = 7;  // a packed ring's need not be a power of two

    struct alignas(16) Memory {
        std::array<std::byte, PackedRing::table_bytes(entries)> table{};
        alignas(4) std::array<std::byte, PackedRing::event_bytes> driver{};
        alignas(4) std::array<std::byte, PackedRing::event_bytes> device{};
    };

    [[nodiscard]] PackedDescriptor& at(std::size_t index) {
        return reinterpret_cast<PackedDescriptor*>(memory_->table.data())[index];
    }

    [[nodiscard]] EventSuppression& device_event() {
        return *reinterpret_cast<EventSuppression*>(memory_->device.data());
    }

    /// What a device finds at its place: descriptors of the next chain, 0 when there is none.
    std::size_t fetch() {
        const auto available = [&] {
            const std::uint16_t flags = at(place_).flags;
            return ((flags & PackedDescriptor::flag_available) != 0) == wrap_ &&
                   ((flags & PackedDescriptor::flag_used) != 0) != wrap_;
        };
        std::size_t length = 0;
        while (available()) {
            const bool more = (at(place_).flags & Descriptor::flag_next) != 0;
            ++length;
            if (++place_ == entries) {
                place_ = 0;
                wrap_ = !wrap_;
            }
            if (!more) {
                break;
            }
        }
        return length;
    }

    void use(std::uint16_t id, std::uint32_t length, std::size_t descriptors) {
        at(used_).id = id;
        at(used_).length = length;
        at(used_).flags = static_cast<std::uint16_t>(
            used_wrap_ ? PackedDescriptor::flag_available | PackedDescriptor::flag_used : 0);
        used_ += descriptors;
        if (used_ >= entries) {
            used_ -= entries;
            used_wrap_ = !used_wrap_;
        }
    }

    static std::vector<Descriptor> chain(std::size_t length) {
        std::vector<Descriptor> chain(length);
        for (std::size_t i = 0; i < length; ++i) {
            chain[i].flags = static_cast<std::uint16_t>(i + 1 < length ? Descriptor::flag_next : 0);
        }
        return chain;
    }

    std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
    PackedRing ring_ = *PackedRing::create(memory_->table, memory_->driver, memory_->device, entries, true);
    std::size_t place_ = 0;
    std::size_t used_ = 0;
    bool wrap_ = true;
    bool used_wrap_ = true;
};

// What is not said to be available is never seen, and everything comes back once, in whatever order.
TEST_F(PackedRingTest, RandomWorkAgainstADeviceInMemory) {
    struct Out {
        std::uint16_t id;
        std::size_t length;
    };

    std::mt19937 random{7};
    std::vector<Out> out;
    std::vector<bool> busy(entries);
    for (int step = 0; step < 200'000; ++step) {
        if (random() % 2 == 0) {
            const auto id = static_cast<std::uint16_t>(random() % entries);
            const std::size_t length = 1 + random() % 4;
            std::size_t taken = 0;
            for (const Out& one : out) {
                taken += one.length;
            }
            const auto made = ring_.make_available(id, chain(length));
            ASSERT_EQ(made.has_value(), !busy[id] && taken + length <= entries);
            if (made) {
                busy[id] = true;
                out.push_back({id, length});
                ASSERT_EQ(fetch(), length);
            } else {
                ASSERT_EQ(fetch(), 0U);
            }
        } else if (!out.empty()) {
            const std::size_t which = random() % out.size();
            ASSERT_FALSE(ring_.next_used());
            use(out[which].id, static_cast<std::uint32_t>(step), out[which].length);
            ASSERT_EQ(ring_.next_used(), (Used{out[which].id, static_cast<std::uint32_t>(step)}));
            busy[out[which].id] = false;
            out.erase(out.begin() + static_cast<std::ptrdiff_t>(which));
        }
    }
    EXPECT_FALSE(ring_.broken());
}

TEST_F(PackedRingTest, IdThatNamesNothingBreaksTheRing) {
    for (const std::uint16_t id : {std::uint16_t{3}, std::uint16_t{entries}, std::uint16_t{0xffff}}) {
        *memory_ = Memory{};
        ring_.restart();
        used_ = 0;
        used_wrap_ = true;
        ASSERT_TRUE(ring_.make_available(2, chain(1)));
        use(id, 1, 1);
        ASSERT_EQ(ring_.next_used(), (Used{id, 1}));
        EXPECT_TRUE(ring_.broken());
        use(2, 1, 1);
        EXPECT_FALSE(ring_.next_used()) << "nothing is taken from it any more";
    }
}

TEST_F(PackedRingTest, DoorbellsAsTheDeviceAsksForThem) {
    const auto make = [&](std::uint16_t id) {
        EXPECT_TRUE(ring_.make_available(id, chain(2)));
        return ring_.wants_doorbell();
    };
    EXPECT_TRUE(make(0)) << "flags of zero ask for each";
    device_event().flags = EventSuppression::disable;
    EXPECT_FALSE(make(1));
    // At descriptor 5 of this round: the next chain takes 4 and 5.
    device_event().flags = EventSuppression::at_descriptor;
    device_event().descriptor = static_cast<std::uint16_t>(5 | EventSuppression::wrap);
    EXPECT_TRUE(make(2));
    use(0, 0, 2);
    use(1, 0, 2);
    EXPECT_TRUE(ring_.next_used());
    EXPECT_TRUE(ring_.next_used());
    EXPECT_FALSE(make(0)) << "5 was passed before; this takes 6 and 0";
    device_event().descriptor = std::uint16_t{2};
    EXPECT_TRUE(make(1)) << "1 and 2 of the next round";
}

TEST_F(PackedRingTest, RefusesMemoryThatDoesNotDo) {
    const auto create = [&](std::size_t size) {
        return PackedRing::create(memory_->table, memory_->driver, memory_->device, size, false).has_value();
    };
    EXPECT_TRUE(create(entries));
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, entries + 1, PackedRing::most_entries + 1}) {
        EXPECT_FALSE(create(size)) << size;
    }
}

}  // namespace
}  // namespace pv::virtio
