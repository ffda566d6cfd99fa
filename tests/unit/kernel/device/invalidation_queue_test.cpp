// LEDGER C21: an invalidation is done when the unit says so, and not before; a unit that never does is given
// up.
// SPDX-License-Identifier: MIT
#include "device/iommu/invalidation_queue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "device/iommu/regs.hpp"
#include "hosted/control.hpp"
#include "paravane/marker.h"

namespace pv::iommu {
namespace {

/// The unit's side: registers in memory, and a thread that does what the queue asks.
class InvalidationQueueTest : public testing::Test {
  protected:
    static constexpr std::size_t entries = page_size / sizeof(spec::Descriptor);

    void SetUp() override {
        window_ = mmio::Window{reinterpret_cast<volatile std::byte*>(registers_.data()), page_size,
                               PhysicalAddress{reinterpret_cast<std::uintptr_t>(registers_.data())}, "unit"};
        queue_ = *InvalidationQueue::create(window_);
    }

    void TearDown() override { stop(); }

    std::atomic_ref<std::uint64_t> reg(std::size_t offset) { return std::atomic_ref{registers_[offset / 8]}; }

    void start() {
        unit_ = std::thread{[this] {
            std::size_t head = 0;
            while (!stopping_) {
                const std::size_t tail = reg(0x88).load() / 16;
                if (head == tail) {
                    std::this_thread::yield();
                    continue;
                }
                const auto* ring = reinterpret_cast<const spec::Descriptor*>(reg(0x90).load());
                const spec::Descriptor descriptor = ring[head];
                head = (head + 1) % entries;
                reg(0x80).store(head * 16);
                if ((descriptor.low & 0xf) == 5) {
                    std::atomic_ref{*reinterpret_cast<std::uint32_t*>(descriptor.high.get())}.store(
                        static_cast<std::uint32_t>(descriptor.low >> 32));
                } else {
                    ++done_;
                }
            }
        }};
    }

    void stop() {
        stopping_ = true;
        if (unit_.joinable()) {
            unit_.join();
        }
    }

    alignas(page_size) std::array<std::uint64_t, page_size / 8> registers_{};
    mmio::Window window_;
    std::unique_ptr<InvalidationQueue> queue_;
    std::thread unit_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> done_{0};
};

TEST_F(InvalidationQueueTest, ReturnsOnlyWhenAllIsDone) {
    start();
    for (std::uint64_t i = 1; i <= 2000; ++i) {  // more often round than once
        ASSERT_TRUE(
            queue_->run(std::array{spec::invalidate_pages(1, 0x1000, 0), spec::invalidate_contexts()}));
        ASSERT_EQ(done_.load(), 2 * i);
    }
    EXPECT_EQ(queue_->batches(), 2000U);
}

TEST_F(InvalidationQueueTest, SeveralProcessorsWaitEachForTheirOwn) {
    start();
    std::vector<std::thread> processors;
    std::atomic<bool> good{true};
    for (int i = 0; i < 4; ++i) {
        processors.emplace_back([&] {
            for (int n = 0; n < 500; ++n) {
                good = good && queue_->run(std::array{spec::invalidate_translations(1)}).has_value();
            }
        });
    }
    for (std::thread& processor : processors) {
        processor.join();
    }
    EXPECT_TRUE(good);
    EXPECT_EQ(done_.load(), 2000U);
}

TEST_F(InvalidationQueueTest, AUnitThatDoesNothingIsGivenUp) {
    (void)hosted::take_log();
    (void)hosted::take_markers();
    EXPECT_EQ(queue_->run(std::array{spec::invalidate_contexts()}).error(), Error::timed_out);
    const auto marks = hosted::take_markers();
    ASSERT_EQ(marks.size(), 2U);
    EXPECT_EQ(marks[0].args[1], static_cast<std::uint64_t>(PV_WAIT_MEMORY));
    EXPECT_EQ(marks[1].args[1], static_cast<std::uint64_t>(PV_WAIT_TIMED_OUT));
    EXPECT_EQ(queue_->run(std::array{spec::invalidate_contexts()}).error(), Error::device_failed);
    EXPECT_EQ(hosted::take_log().size(), 1U) << "said once";
}

}  // namespace
}  // namespace pv::iommu
