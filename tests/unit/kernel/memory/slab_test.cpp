// The heap: alignment, reuse, several CPUs' stocks, failing frames, lies.
// SPDX-License-Identifier: MIT
#include "memory/slab.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "hosted/control.hpp"
#include "memory/direct_map.hpp"

namespace pv::memory {
namespace {

std::mutex blocks_lock;
std::map<std::uint64_t, unsigned> blocks;

Result<PhysicalAddress> take_frames(unsigned order) {
    const PhysicalAddress address = PV_TRY(allocate_frames(order));
    const std::scoped_lock guard(blocks_lock);
    blocks[address.value()] = order;
    return address;
}

void give_frames(PhysicalAddress address, unsigned order) {
    {
        const std::scoped_lock guard(blocks_lock);
        EXPECT_EQ(blocks[address.value()], order);
        blocks.erase(address.value());
    }
    free_frames(address, order);
}

unsigned order_of(PhysicalAddress address) {
    const std::scoped_lock guard(blocks_lock);
    return blocks.at(address.value());
}

constexpr FrameProvider frames{take_frames, give_frames, order_of};

class HeapTest : public testing::Test {
  protected:
    ~HeapTest() override {
        hosted::fail_frames_from(0);
        heap_.drain(stock_);
        // Kept: one empty slab a class. Let go of by hand, or the leak checker is right to complain.
        const auto kept = blocks;
        EXPECT_LE(kept.size(), slab_classes.size());
        for (const auto& [address, order] : kept) {
            give_frames(PhysicalAddress(address), order);
        }
    }

    Heap heap_{frames};
    Heap::CpuStock stock_;
};

TEST_F(HeapTest, ObjectsAreDistinctAlignedAndWhole) {
    std::map<unsigned char*, std::size_t> objects;
    for (std::size_t size = 0; size <= 20'000; size = size < 300 ? size + 1 : size * 5 / 4) {
        auto* object = static_cast<unsigned char*>(heap_.allocate(size, 1, stock_));
        ASSERT_NE(object, nullptr);
        const std::size_t alignment =
            std::min<std::size_t>(std::bit_floor(std::max<std::size_t>(size, 1)), 4096);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(object) % alignment, 0U) << size;
        std::memset(object, static_cast<int>(size & 0xff), size);
        ASSERT_TRUE(objects.emplace(object, size).second);
    }
    for (const auto& [object, size] : objects) {
        for (std::size_t i = 0; i < size; ++i) {
            ASSERT_EQ(object[i], size & 0xff);
        }
        heap_.free(object, stock_);
    }
    const Heap::CpuStock* const stocks[] = {&stock_};
    EXPECT_EQ(heap_.statistics(stocks).objects, 0U);
    EXPECT_EQ(heap_.statistics(stocks).large, 0U);
}

TEST_F(HeapTest, AlignmentAsAsked) {
    for (const std::size_t alignment : {16U, 64U, 256U, 4096U, 8192U, 32768U}) {
        void* object = heap_.allocate(24, alignment, stock_);
        ASSERT_NE(object, nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(object) % alignment, 0U);
        heap_.free(object, stock_);
    }
    EXPECT_EQ(heap_.allocate(24, 65536, stock_), nullptr);
}

TEST_F(HeapTest, WithoutFramesItFailsAndRecovers) {
    hosted::fail_frames_from(1);
    EXPECT_EQ(heap_.allocate(100, 1, stock_), nullptr);
    EXPECT_EQ(heap_.allocate(100'000, 1, stock_), nullptr);
    hosted::fail_frames_from(0);
    void* object = heap_.allocate(100, 1, stock_);
    EXPECT_NE(object, nullptr);
    hosted::fail_frames_from(1);
    std::vector<void*> more;
    while (void* next = heap_.allocate(100, 1, stock_)) {
        more.push_back(next);
    }
    EXPECT_GT(more.size(), 100U);
    for (void* next : more) {
        heap_.free(next, stock_);
    }
    heap_.free(object, stock_);
}

TEST_F(HeapTest, RefusesWhatItNeverGave) {
    auto* object = static_cast<char*>(heap_.allocate(64, 1, stock_));
    EXPECT_DEATH(heap_.free(object + 8, stock_), "is no object of the heap");
    heap_.free(object, stock_);
    heap_.free(nullptr, stock_);
}

// LEDGER H17: most calls touch only the CPU's own stock.
TEST(LedgerHeap, CpusRefillSeldom) {
    Heap heap{frames};
    std::array<Heap::CpuStock, 4> stocks;
    std::vector<std::thread> cpus;
    for (Heap::CpuStock& stock : stocks) {
        cpus.emplace_back([&heap, &stock] {
            std::mt19937 random(9);
            std::vector<void*> objects;
            for (int i = 0; i < 50'000; ++i) {
                if (objects.size() < 20 || (random() % 2 == 0 && objects.size() < 40)) {
                    void* object = heap.allocate(1 + random() % 64, 1, stock);
                    std::memset(object, 1, 1);
                    objects.push_back(object);
                } else {
                    std::swap(objects[random() % objects.size()], objects.back());
                    heap.free(objects.back(), stock);
                    objects.pop_back();
                }
            }
            for (void* object : objects) {
                heap.free(object, stock);
            }
        });
    }
    for (std::thread& cpu : cpus) {
        cpu.join();
    }
    const Heap::CpuStock* const all[] = {&stocks[0], &stocks[1], &stocks[2], &stocks[3]};
    const HeapStatistics statistics = heap.statistics(all);
    EXPECT_EQ(statistics.objects, 0U);
    EXPECT_LT(statistics.refills, 4 * 50'000 / 50);
    for (Heap::CpuStock& stock : stocks) {
        heap.drain(stock);
    }
    for (const auto& [address, order] : std::map(blocks)) {
        give_frames(PhysicalAddress(address), order);
    }
}

}  // namespace
}  // namespace pv::memory
