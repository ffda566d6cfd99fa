// The buddy allocator against a plain model: no block twice, everything merges back, lies are refused.
// SPDX-License-Identifier: MIT
#include "memory/buddy.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace pv::memory {
namespace {

/// Frames [first, first + count) of a machine whose memory is a host buffer.
class Machine {
  public:
    Machine(std::uint64_t first, std::uint64_t count)
        : memory_(new(std::align_val_t{page_size}) std::byte[count * page_size]),
          states_(count),
          buddy_(first, states_, reinterpret_cast<std::uintptr_t>(memory_.get()) - first * page_size) {}

    Buddy& operator*() { return buddy_; }

    Buddy* operator->() { return &buddy_; }

  private:
    struct Delete {
        void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{page_size}); }
    };

    std::unique_ptr<std::byte[], Delete> memory_;
    std::vector<std::uint8_t> states_;
    Buddy buddy_;
};

TEST(Buddy, GivesOutEverythingOnceAndMergesBack) {
    for (const std::uint64_t first : {0ULL, 1ULL, 512ULL, 515ULL, 0x100003ULL}) {
        Machine machine(first, 777);
        machine->add(first, 777);
        EXPECT_EQ(machine->free_count(), 777U);
        const auto largest = machine->largest_free();
        std::vector<bool> seen(777);
        std::vector<std::uint64_t> frames;
        while (const auto frame = machine->allocate(0)) {
            ASSERT_TRUE(machine->contains(*frame));
            ASSERT_FALSE(seen[*frame - first]);
            seen[*frame - first] = true;
            frames.push_back(*frame);
        }
        EXPECT_EQ(frames.size(), 777U);
        EXPECT_EQ(machine->free_count(), 0U);
        EXPECT_FALSE(machine->largest_free());
        std::shuffle(frames.begin(), frames.end(), std::mt19937(7));
        for (const std::uint64_t frame : frames) {
            ASSERT_TRUE(machine->free(frame, 0));
        }
        EXPECT_EQ(machine->free_count(), 777U);
        EXPECT_EQ(machine->largest_free(), largest);
    }
}

TEST(Buddy, BlocksAreAligned) {
    Machine machine(3, 4096);
    machine->add(3, 4096);
    for (unsigned order = 0; order <= 11; ++order) {
        const auto frame = machine->allocate(order);
        ASSERT_TRUE(frame) << order;
        EXPECT_EQ(*frame % (1U << order), 0U);
        EXPECT_EQ(machine->order_of(*frame), order);
        EXPECT_TRUE(machine->free(*frame, order));
    }
    EXPECT_FALSE(machine->allocate(12));
    EXPECT_FALSE(machine->allocate(order_max));
}

TEST(Buddy, RefusesWhatWasNotGivenOut) {
    Machine machine(0, 64);
    machine->add(0, 64);
    const auto block = machine->allocate(2);
    ASSERT_TRUE(block);
    EXPECT_FALSE(machine->free(*block, 1));
    EXPECT_FALSE(machine->free(*block + 1, 0));
    EXPECT_FALSE(machine->free(9999, 0));
    EXPECT_TRUE(machine->free(*block, 2));
    EXPECT_FALSE(machine->free(*block, 2)) << "double free";
    EXPECT_EQ(machine->free_count(), 64U);
}

TEST(Buddy, ABlockBecomesSingleFrames) {
    Machine machine(0, 64);
    machine->add(0, 64);
    const auto block = machine->allocate(3);
    ASSERT_TRUE(block);
    EXPECT_FALSE(machine->split(*block, 2));
    EXPECT_FALSE(machine->split(*block + 1, 0));
    EXPECT_FALSE(machine->split(9999, 3));
    ASSERT_TRUE(machine->split(*block, 3));
    EXPECT_EQ(machine->free_count(), 56U);
    EXPECT_FALSE(machine->free(*block, 3)) << "there is no such block any more";
    EXPECT_FALSE(machine->split(*block, 3));
    for (std::uint64_t frame = *block; frame < *block + 8; ++frame) {
        EXPECT_TRUE(machine->free(frame, 0));
        EXPECT_FALSE(machine->free(frame, 0));
    }
    EXPECT_EQ(machine->largest_free(), 6U) << "they are one again";
}

TEST(Buddy, DoesNotMergeAcrossWhatItDoesNotOwn) {
    Machine machine(0, 64);
    machine->add(0, 15);
    machine->add(16, 48);  // frame 15 is somebody else's
    for (int i = 0; i < 2; ++i) {
        std::vector<std::uint64_t> frames;
        while (const auto frame = machine->allocate(0)) {
            EXPECT_NE(*frame, 15U);
            frames.push_back(*frame);
        }
        EXPECT_EQ(frames.size(), 63U);
        for (const std::uint64_t frame : frames) {
            EXPECT_TRUE(machine->free(frame, 0));
        }
    }
}

TEST(Buddy, RandomWorkAgainstAModel) {
    std::mt19937 random(1234);
    Machine machine(17, 3000);
    machine->add(17, 3000);
    std::map<std::uint64_t, unsigned> out;
    std::uint64_t given = 0;
    for (int i = 0; i < 20'000; ++i) {
        if (random() % 2 == 0) {
            const unsigned order = random() % 8;
            if (const auto frame = machine->allocate(order)) {
                const std::uint64_t size = 1ULL << order;
                const auto after = out.lower_bound(*frame);
                ASSERT_TRUE(after == out.end() || *frame + size <= after->first);
                ASSERT_TRUE(after == out.begin() ||
                            std::prev(after)->first + (1ULL << std::prev(after)->second) <= *frame);
                out[*frame] = order;
                given += size;
            }
        } else if (!out.empty()) {
            const auto at = std::next(out.begin(), static_cast<std::ptrdiff_t>(random() % out.size()));
            ASSERT_TRUE(machine->free(at->first, at->second));
            given -= 1ULL << at->second;
            out.erase(at);
        }
        ASSERT_EQ(machine->free_count(), 3000 - given);
    }
}

}  // namespace
}  // namespace pv::memory
