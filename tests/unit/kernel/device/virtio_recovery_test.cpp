// LEDGER H2, C21 on virtio-blk: the recovery, step by step, on a device that misbehaves in one way at a time.
// SPDX-License-Identifier: MIT
#include "device/virtio/recovery.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "virtio_machine.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

/// Each with split and with packed rings.
class VirtioRecoveryTest : public VirtioMachine, public testing::WithParamInterface<std::uint64_t> {
  protected:
    void serve() { bring_up({.features = fake_features | GetParam()}); }
};

/// Does this to the first `count` requests of this type.
FakeVirtio::Judge first_of(BlockRequest type, int count, FakeAnswer answer = {.fate = FakeFate::hold}) {
    auto left = std::make_shared<std::atomic<int>>(count);
    return [=](std::uint16_t, BlockRequest asked, std::uint64_t) {
        return asked == type && (*left)-- > 0 ? answer : FakeAnswer{};
    };
}

TEST_P(VirtioRecoveryTest, WhatIsOnlyLateIsGivenTime) {
    patience_.grace = 10_s;
    serve();
    write(10, 8);
    fake_->judge(first_of(BlockRequest::read, 1));
    std::thread late{[&] {
        // A busy host may make the write late too: what is waited for is the read.
        eventually([&] { return fake_->held() == 1; });
        eventually([&] { return disk().counts().overdue == 1; });
        fake_->release();
    }};
    EXPECT_TRUE(read(10, 8, 10_s));
    late.join();
    EXPECT_TRUE(read(10, 8, 10_s));
    EXPECT_EQ(fake_->resets, 0U);
    EXPECT_GE(disk().counts().late, 1U);
    EXPECT_EQ(disk().counts().repeated, 0U);
    const auto marks = markers();
    for (const std::uint64_t step : marks.results(PV_MARKER_recovery_step, 2)) {
        EXPECT_EQ(step, std::uint64_t{PV_RECOVERY_WAIT});
    }
    EXPECT_EQ(marks.count(PV_MARKER_queue_suspend), 0U);
}

TEST_P(VirtioRecoveryTest, DeviceIsResetAndItsRequestsAreRepeated) {
    serve();
    write(10, 8);
    fake_->judge(first_of(BlockRequest::read, 3));
    std::vector<std::thread> others;
    std::atomic<int> good = 0;
    for (int i = 0; i < 2; ++i) {
        others.emplace_back([&] { good += read(10, 8, 10_s) ? 1 : 0; });
    }
    EXPECT_TRUE(read(10, 8, 10_s)) << log();
    for (auto& other : others) {
        other.join();
    }
    EXPECT_EQ(good, 2);
    settle();
    EXPECT_GE(fake_->resets, 1U);
    EXPECT_EQ(disk().counts().repeated, 3U);
    const auto marks = markers();
    EXPECT_EQ(marks.count(PV_MARKER_queue_suspend), marks.count(PV_MARKER_queue_resume));
    EXPECT_GE(marks.count(PV_MARKER_queue_suspend), 1U);
    EXPECT_EQ(marks.count(PV_MARKER_command_repeat), 3U);
    EXPECT_EQ(marks.results(PV_MARKER_device_reset, 1).back(), 1U);
    EXPECT_EQ(marks.results(PV_MARKER_recovery_end, 2), std::vector<std::uint64_t>(fake_->resets, 0));
    EXPECT_NE(log().find("the device was reset in"), std::string::npos) << log();
    LoggedStatus lines;
    controller_->print_status(lines);
    EXPECT_NE(log().find("status: virtio-blk0: in service;"), std::string::npos) << log();
}

TEST_P(VirtioRecoveryTest, CallerHasItsErrorInTimeAndTheMemoryIsQuarantinedUntilTheReset) {
    patience_.grace = 400_ms;
    serve();
    fake_->judge(first_of(BlockRequest::write, 1));
    const dma::Pages pages = *dma::Pages::allocate(4096);
    const Instant begun = now();
    EXPECT_EQ(disk().write(0, {pages, 0, 4096}, within(60_ms)).error(), Error::timed_out);
    EXPECT_LT(now() - begun, 1_s);
    EXPECT_EQ(fake_->resets, 0U);
    EXPECT_TRUE(pages.quarantined()) << "the device may still read it";
    eventually([&] { return fake_->resets == 1; });
    eventually([&] { return !pages.quarantined(); });
    EXPECT_FALSE(pages.quarantined());
    EXPECT_EQ(disk().counts().repeated, 0U) << "its caller was told that it timed out";
    settle();
    const auto marks = markers();
    EXPECT_LT(marks.first(PV_MARKER_dma_quarantine), marks.first(PV_MARKER_recovery_end));
}

TEST_P(VirtioRecoveryTest, StalledQueueLeavesTheOthersAlone) {
    patience_.grace = 10_s;
    ASSERT_TRUE(hosted::set_cpu_count(2));
    serve();
    write(10, 8);
    fake_->judge([](std::uint16_t queue, BlockRequest, std::uint64_t) {
        return queue == 0 ? FakeAnswer{.fate = FakeFate::hold} : FakeAnswer{};
    });
    std::thread stalled{[&] { EXPECT_EQ(read(0, 8, 300_ms).error(), Error::timed_out); }};
    eventually([&] { return fake_->held() == 1; });
    std::thread other{[&] {
        hosted::run_as_cpu(1);
        for (int i = 0; i < 100; ++i) {
            EXPECT_TRUE(read(10, 8, 10_s));
        }
    }};
    other.join();
    stalled.join();
    EXPECT_EQ(fake_->resets, 0U);
    fake_->release();
}

TEST_P(VirtioRecoveryTest, DeviceThatAsksForItIsReset) {
    patience_.command = 10_s;
    serve();
    write(10, 8);
    fake_->judge(first_of(BlockRequest::read, 1));
    std::thread asks{[&] {
        eventually([&] { return fake_->held() == 1; });
        fake_->need_reset();
    }};
    EXPECT_TRUE(read(10, 8, 30_s));
    asks.join();
    settle();
    EXPECT_EQ(fake_->resets, 1U);
    EXPECT_EQ(markers().results(PV_MARKER_recovery_begin, 2), std::vector<std::uint64_t>{PV_REASON_FATAL});
}

TEST_P(VirtioRecoveryTest, RemovedDeviceFailsEverythingAtOnce) {
    serve();
    fake_->judge(first_of(BlockRequest::read, 1));
    const dma::Pages pages = *dma::Pages::allocate(4096);
    std::thread remover{[&] {
        eventually([&] { return fake_->held() == 1; });
        fake_->gone = true;
    }};
    EXPECT_EQ(disk().read(0, {pages, 0, 4096}, within(10_s)).error(), Error::device_failed);
    remover.join();
    eventually([&] { return markers().count(PV_MARKER_recovery_end) != 0; });
    EXPECT_FALSE(pages.quarantined());
    const Instant begun = now();
    EXPECT_EQ(disk().read(0, {pages, 0, 4096}, within(10_s)).error(), Error::device_failed);
    EXPECT_LT(now() - begun, 1_s) << "a dead device answers at once";
    const auto marks = markers();
    EXPECT_EQ(marks.results(PV_MARKER_device_dead, 1), std::vector<std::uint64_t>{PV_REASON_GONE});
    EXPECT_EQ(marks.results(PV_MARKER_device_reset, 1), std::vector<std::uint64_t>{0}) << "nothing to reset";
    EXPECT_EQ(marks.results(PV_MARKER_recovery_end, 2), std::vector<std::uint64_t>{1});
}

// It may still write to what it was given: that memory never goes back.
TEST_P(VirtioRecoveryTest, DeviceThatDoesNotStopKeepsItsMemory) {
    patience_.reset = 50_ms;
    serve();
    const dma::Pages pages = *dma::Pages::allocate(4096);
    fake_->judge(first_of(BlockRequest::read, 1));
    fake_->never_quiet = true;
    EXPECT_EQ(disk().read(0, {pages, 0, 4096}, within(30_s)).error(), Error::device_failed);
    EXPECT_TRUE(pages.quarantined());
    const auto before = dma::statistics();
    controller_->shut_down(within(10_ms));
    EXPECT_TRUE(pages.quarantined());
    EXPECT_GT(dma::statistics().quarantined, before.quarantined) << "rings and headers too";
    EXPECT_NE(log().find("stays in quarantine for good"), std::string::npos) << log();
    EXPECT_EQ(markers().results(PV_MARKER_device_dead, 1), std::vector<std::uint64_t>{PV_REASON_USELESS});
    abandoned_ = true;
}

TEST_P(VirtioRecoveryTest, DeviceThatIsNeverReadyAgainIsGivenUp) {
    serve();
    fake_->judge(first_of(BlockRequest::read, 1));
    fake_->never_back = true;
    const dma::Pages pages = *dma::Pages::allocate(4096);
    EXPECT_EQ(disk().read(0, {pages, 0, 4096}, within(30_s)).error(), Error::device_failed);
    EXPECT_FALSE(pages.quarantined()) << "it was reset: it is done with all memory";
    eventually([&] { return markers().count(PV_MARKER_recovery_end) != 0; });
    EXPECT_EQ(markers().results(PV_MARKER_recovery_end, 2), std::vector<std::uint64_t>{1});
}

TEST_P(VirtioRecoveryTest, ResetsThatDoNotHelpEndInDeath) {
    patience_.command = 5_ms;
    patience_.grace = 5_ms;
    serve();
    fake_->judge(first_of(BlockRequest::read, 1 << 30));
    eventually([&] {
        const auto result = read(0, 8, 60_s);
        EXPECT_FALSE(result);
        return !result && result.error() == Error::device_failed;
    });
    eventually([&] { return markers().count(PV_MARKER_device_dead) != 0; });
    EXPECT_GE(fake_->resets, 2U);
    EXPECT_EQ(markers().results(PV_MARKER_device_dead, 1), std::vector<std::uint64_t>{PV_REASON_USELESS});
}

TEST_P(VirtioRecoveryTest, AnotherDeviceAfterTheResetIsNotBelieved) {
    serve();
    fake_->judge(first_of(BlockRequest::read, 1));
    fake_->shape.sectors = 1024;
    EXPECT_EQ(read(0, 8, 30_s).error(), Error::device_failed);
    EXPECT_NE(log().find("not what it was before the reset"), std::string::npos) << log();
}

TEST_P(VirtioRecoveryTest, LostInterruptIsFoundAtTheDeadline) {
    serve();
    fake_->mute = true;
    EXPECT_TRUE(read(0, 8, 10_s));
    fake_->mute = false;
    EXPECT_EQ(markers().count(PV_MARKER_command_timeout), 0U);
    EXPECT_EQ(fake_->resets, 0U);
}

TEST_P(VirtioRecoveryTest, HundredFaultsInARowLeaveNothing) {
    patience_.command = 4_ms;
    patience_.grace = 4_ms;
    serve();
    write(10, 8);
    settle();
    const auto before = dma::statistics();
    for (int i = 0; i < 100; ++i) {
        fake_->judge(first_of(BlockRequest::read, 1));
        ASSERT_TRUE(read(10, 8, 10_s)) << i << "\n" << log();
    }
    settle();
    const auto after = dma::statistics();
    EXPECT_EQ(after.live, before.live);
    EXPECT_EQ(after.quarantined, before.quarantined);
    EXPECT_GE(disk().counts().repeated, 100U);  // a busy host makes other reads late, too
}

INSTANTIATE_TEST_SUITE_P(Rings, VirtioRecoveryTest, testing::Values(0, Feature::ring_packed),
                         [](const auto& ring) { return ring.param == 0 ? "Split" : "Packed"; });

}  // namespace
}  // namespace pv::virtio
