// virtio-rng: what it gives goes to the pool with its credit; one that stalls, lies or goes away is
// contained.
// SPDX-License-Identifier: MIT
#include "device/virtio/rng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "disk_machine.hpp"
#include "fake_virtio.hpp"
#include "random/pool.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

class VirtioRngTest : public block::DiskMachine {
  protected:
    void bring_up(FakeShape shape = {}) {
        shape.device_id = 0x1044;
        shape.features &= ~(fake_features & 0xffffff);  // those of virtio-blk
        shape.queues = 1;
        shape.configuration_length = 0;
        fake_ = std::make_unique<FakeVirtio>(shape);
        auto rng = Rng::create(fake_->function(), 0, patience_);
        ASSERT_TRUE(rng) << log();
        rng_ = std::move(*rng);
    }

    void let_go() override {
        if (rng_ != nullptr) {
            rng_->shut_down(within(200_ms));
            rng_.reset();
        }
    }

    void take_away() override { fake_.reset(); }

    Patience patience_{.command = 30_ms, .grace = 50_ms, .reset = 400_ms};
    std::unique_ptr<FakeVirtio> fake_;
    std::unique_ptr<Rng> rng_;
    std::array<std::byte, 64> bytes_{};
};

FakeVirtio::Judge first(int count, FakeAnswer answer) {
    auto left = std::make_shared<std::atomic<int>>(count);
    return [=](std::uint16_t, BlockRequest, std::uint64_t) { return (*left)-- > 0 ? answer : FakeAnswer{}; };
}

TEST_F(VirtioRngTest, GivesBytesAndCredit) {
    bring_up();
    const auto given = rng_->read(bytes_, within(10_s));
    ASSERT_TRUE(given) << log();
    EXPECT_EQ(*given, bytes_.size());
    EXPECT_TRUE(std::ranges::any_of(bytes_, [](std::byte b) { return b != std::byte{}; }));
    const std::uint64_t before = random::credit();
    ASSERT_TRUE(rng_->feed(512, within(10_s)));
    EXPECT_EQ(random::credit(), before + 512);
    std::array<std::byte, 16> out{};
    EXPECT_TRUE(random::take(out));
}

TEST_F(VirtioRngTest, GivesLessThanAskedFor) {
    bring_up({.gives = 5});
    const auto given = rng_->read(bytes_, within(10_s));
    ASSERT_TRUE(given) << log();
    EXPECT_EQ(*given, 5U);
    EXPECT_EQ(bytes_[5], std::byte{});
    const std::uint64_t before = random::credit();
    ASSERT_TRUE(rng_->feed(512, within(10_s)));
    EXPECT_GE(random::credit(), before + 512);
}

TEST_F(VirtioRngTest, StalledOneIsAskedAgainAfterAReset) {
    bring_up();
    fake_->judge(first(1, {.fate = FakeFate::hold}));
    EXPECT_TRUE(rng_->read(bytes_, within(10_s))) << log();
    settle();
    EXPECT_EQ(fake_->resets, 1U);
    EXPECT_EQ(rng_->counts().repeated, 1U);
}

TEST_F(VirtioRngTest, NothingInTimeIsNoCredit) {
    bring_up();
    fake_->judge(first(1000, {.fate = FakeFate::hold}));
    const std::uint64_t before = random::credit();
    const Instant begun = now();
    EXPECT_EQ(rng_->feed(512, within(60_ms)).error(), Error::timed_out);
    EXPECT_LT(now() - begun, 1_s);
    EXPECT_EQ(random::credit(), before);
}

TEST_F(VirtioRngTest, LengthThatCannotBeIsNoCreditAndAReset) {
    bring_up();
    fake_->judge(first(1, {.fate = FakeFate::overfill}));
    const std::uint64_t before = random::credit();
    EXPECT_EQ(rng_->feed(512, within(10_s)).error(), Error::io);
    EXPECT_EQ(random::credit(), before);
    eventually([&] { return fake_->resets == 1; });
    EXPECT_EQ(fake_->resets, 1U);
    EXPECT_TRUE(rng_->feed(512, within(10_s)));
}

TEST_F(VirtioRngTest, RemovedOneFailsAtOnce) {
    bring_up();
    fake_->judge(first(1, {.fate = FakeFate::hold}));
    std::thread remover{[&] {
        eventually([&] { return fake_->held() == 1; });
        fake_->gone = true;
    }};
    EXPECT_EQ(rng_->read(bytes_, within(10_s)).error(), Error::device_failed);
    remover.join();
}

}  // namespace
}  // namespace pv::virtio
