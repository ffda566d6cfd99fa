// LEDGER H2, C21: the recovery ladder, step by step, on a controller that misbehaves in one way at a time.
// SPDX-License-Identifier: MIT
#include "device/nvme/recovery.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "nvme_machine.hpp"

namespace pv::nvme {
namespace {

using namespace literals;

class RecoveryTest : public NvmeMachine {};

/// Holds the first `count` commands of this opcode on I/O queues.
FakeNvme::Judge hold(IoOpcode opcode, int count, FakeNvme::Judge admin = {}) {
    auto left = std::make_shared<std::atomic<int>>(count);
    return [=](std::uint16_t queue, const SubmissionEntry& entry) -> FakeAnswer {
        if (queue == 0) {
            return admin ? admin(queue, entry) : FakeAnswer{};
        }
        return entry.opcode == static_cast<std::uint8_t>(opcode) && (*left)-- > 0
                   ? FakeAnswer{.fate = FakeFate::hold}
                   : FakeAnswer{};
    };
}

FakeNvme::Judge on_admin(AdminOpcode opcode, FakeAnswer answer) {
    return [=](std::uint16_t, const SubmissionEntry& entry) {
        return entry.opcode == static_cast<std::uint8_t>(opcode) ? answer : FakeAnswer{};
    };
}

TEST_F(RecoveryTest, AbortedCommandIsRepeated) {
    bring_up();
    write(10, 8);
    fake_->judge(hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.fate = FakeFate::aborts})));
    EXPECT_TRUE(read(10, 8, 10_s));
    EXPECT_EQ(disk().counts().repeated, 1U);
    settle();
    const auto marks = markers();
    EXPECT_EQ(marks.results(PV_MARKER_command_abort_end, 3), std::vector<std::uint64_t>{PV_ABORT_ABORTED});
    EXPECT_EQ(marks.count(PV_MARKER_command_timeout), 1U);
    EXPECT_EQ(marks.count(PV_MARKER_command_repeat), 1U);
    EXPECT_EQ(marks.count(PV_MARKER_queue_suspend), 0U);
    EXPECT_EQ(marks.results(PV_MARKER_recovery_end, 2), std::vector<std::uint64_t>{0});
}

TEST_F(RecoveryTest, WhatTheControllerGoesOnWithIsGivenTime) {
    bring_up();
    write(10, 8);
    // Answers once the Abort was refused, as QEMU does when its disk is slow.
    fake_->judge(hold(IoOpcode::read, 1));
    std::thread late{[&] {
        eventually([&] { return fake_->seen(true, static_cast<std::uint8_t>(AdminOpcode::abort)) == 1; });
        fake_->release();
    }};
    EXPECT_TRUE(read(10, 8, 10_s));
    late.join();
    settle();
    const auto marks = markers();
    EXPECT_EQ(marks.results(PV_MARKER_command_abort_end, 3), std::vector<std::uint64_t>{PV_ABORT_GOES_ON});
    EXPECT_EQ(marks.count(PV_MARKER_queue_suspend), 0U);
    EXPECT_EQ(disk().counts().repeated, 0U);
    EXPECT_EQ(disk().counts().late, 1U);
    EXPECT_EQ(marks.results(PV_MARKER_recovery_end, 2), std::vector<std::uint64_t>{0});
}

TEST_F(RecoveryTest, QueueIsMadeAgainAndItsCommandsAreRepeated) {
    bring_up();
    write(10, 8);
    fake_->judge(hold(IoOpcode::read, 3));
    std::vector<std::thread> others;
    std::atomic<int> good = 0;
    for (int i = 0; i < 2; ++i) {
        others.emplace_back([&] { good += read(10, 8, 10_s) ? 1 : 0; });
    }
    EXPECT_TRUE(read(10, 8, 10_s));
    for (auto& other : others) {
        other.join();
    }
    EXPECT_EQ(good, 2);
    settle();
    const auto marks = markers();
    EXPECT_GE(marks.count(PV_MARKER_queue_suspend), 1U);
    EXPECT_EQ(marks.count(PV_MARKER_queue_suspend), marks.count(PV_MARKER_queue_resume));
    EXPECT_EQ(disk().counts().repeated, 3U);
    EXPECT_EQ(fake_->resets, 0U) << "the controller itself was fine";
    EXPECT_NE(log().find("queue 1 was made again"), std::string::npos) << log();
    LoggedStatus lines;
    controller_->print_status(lines);
    EXPECT_NE(log().find("status: nvme0: in service; 1 recoveries"), std::string::npos) << log();
}

TEST_F(RecoveryTest, CallerHasItsErrorInTimeAndTheMemoryIsQuarantinedUntilTheLadderEndsIt) {
    bring_up();
    fake_->judge(hold(IoOpcode::write, 1));
    dma::Pages pages = *dma::Pages::allocate(4096);
    const Instant begun = now();
    EXPECT_EQ(disk().write(0, {pages, 0, 4096}, Deadline::after(20_ms)).error(), Error::timed_out);
    EXPECT_LT(now() - begun, 520_ms);
    EXPECT_TRUE(pages.quarantined());
    EXPECT_EQ(disk().write(0, {pages, 0, 4096}, Deadline::after(20_ms)).error(), Error::busy);
    eventually([&] { return !pages.quarantined(); });
    EXPECT_FALSE(pages.quarantined());
    settle();
    EXPECT_EQ(disk().counts().repeated, 0U) << "its caller was told that it failed";
    const auto steps = markers();
    EXPECT_LT(steps.first(PV_MARKER_command_abort), steps.first(PV_MARKER_queue_suspend));
}

TEST_F(RecoveryTest, AdminQueueThatDoesNotAnswerLeadsToAReset) {
    bring_up();
    write(10, 8);
    fake_->judge(hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.fate = FakeFate::hold})));
    EXPECT_TRUE(read(10, 8, 10_s));
    settle();
    EXPECT_EQ(fake_->resets, 1U);
    const auto marks = markers();
    EXPECT_EQ(marks.results(PV_MARKER_command_abort_end, 3), std::vector<std::uint64_t>{PV_ABORT_NO_ANSWER});
    EXPECT_EQ(marks.results(PV_MARKER_device_reset, 1), (std::vector<std::uint64_t>{0, 1}));
    EXPECT_EQ(disk().counts().repeated, 1U);
}

TEST_F(RecoveryTest, FailedDeletionLeadsToAReset) {
    bring_up();
    write(10, 8);
    fake_->judge(hold(IoOpcode::read, 1, on_admin(AdminOpcode::delete_submission_queue, {.status = 0x006})));
    EXPECT_TRUE(read(10, 8, 10_s));
    settle();
    EXPECT_EQ(fake_->resets, 1U);
}

TEST_F(RecoveryTest, RefusedAbortIsNoEnd) {
    bring_up();
    write(10, 8);
    fake_->judge(hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.status = 0x103})));
    EXPECT_TRUE(read(10, 8, 10_s));
    settle();
    const auto marks = markers();
    EXPECT_EQ(marks.results(PV_MARKER_command_abort_end, 3), std::vector<std::uint64_t>{PV_ABORT_REFUSED});
    EXPECT_EQ(fake_->resets, 0U);
}

TEST_F(RecoveryTest, FatalStatusIsReset) {
    bring_up();
    write(10, 8);
    fake_->judge(hold(IoOpcode::read, 1));
    fake_->fatal = true;
    EXPECT_TRUE(read(10, 8, 10_s));
    settle();
    EXPECT_EQ(fake_->resets, 1U);
    EXPECT_EQ(markers().count(PV_MARKER_command_abort), 0U);
}

TEST_F(RecoveryTest, RemovedControllerIsGivenUp) {
    bring_up();
    dma::Pages pages = *dma::Pages::allocate(4096);
    fake_->judge(hold(IoOpcode::read, 1));
    std::thread remover{[&] {
        eventually([&] { return fake_->held() == 1; });
        fake_->gone = true;
    }};
    EXPECT_EQ(disk().read(0, {pages, 0, 4096}, Deadline::after(10_s)).error(), Error::device_failed);
    remover.join();
    eventually([&] { return !pages.quarantined(); });
    EXPECT_FALSE(pages.quarantined());
    const Instant begun = now();
    EXPECT_EQ(disk().read(0, {pages, 0, 4096}, Deadline::after(10_s)).error(), Error::device_failed);
    EXPECT_LT(now() - begun, 1_s) << "a dead device answers at once";
    eventually([&] { return markers().count(PV_MARKER_recovery_end) != 0; });
    const auto marks = markers();
    EXPECT_EQ(marks.results(PV_MARKER_device_dead, 1), std::vector<std::uint64_t>{PV_REASON_GONE});
    EXPECT_EQ(marks.results(PV_MARKER_device_reset, 1), std::vector<std::uint64_t>{0}) << "nothing to reset";
    EXPECT_EQ(marks.results(PV_MARKER_recovery_end, 2), std::vector<std::uint64_t>{1});
}

TEST_F(RecoveryTest, ControllerThatIsNeverReadyAgainIsGivenUpInTime) {
    bring_up();
    fake_->judge(hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.fate = FakeFate::hold})));
    fake_->never_ready = true;
    const Instant begun = now();
    EXPECT_EQ(read(0, 8, 30_s).error(), Error::device_failed);
    // Two attempts, each bounded by CAP.TO (500 ms).
    EXPECT_LT(now() - begun, 5_s);
    EXPECT_NE(log().find("not ready 500"), std::string::npos) << log();
}

// It may still write to what it was given: that memory never goes back.
TEST_F(RecoveryTest, ControllerThatDoesNotStopKeepsItsMemory) {
    bring_up();
    dma::Pages pages = *dma::Pages::allocate(4096);
    fake_->judge(hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.fate = FakeFate::hold})));
    fake_->never_quiet = true;
    EXPECT_EQ(disk().read(0, {pages, 0, 4096}, Deadline::after(30_s)).error(), Error::device_failed);
    EXPECT_TRUE(pages.quarantined());
    const auto before = dma::statistics();
    controller_->shut_down(Deadline::after(10_ms));
    EXPECT_TRUE(pages.quarantined());
    EXPECT_GT(dma::statistics().quarantined, before.quarantined) << "rings and lists too";
    EXPECT_NE(log().find("stays in quarantine for good"), std::string::npos) << log();
    abandoned_ = true;
}

TEST_F(RecoveryTest, ResetsThatDoNotHelpEndInDeath) {
    patience_.command = 5_ms;
    patience_.grace = 5_ms;
    bring_up();
    fake_->judge(hold(IoOpcode::read, 1 << 30));
    eventually([&] {
        const auto result = read(0, 8, 60_s);
        EXPECT_FALSE(result);
        return !result && result.error() == Error::device_failed;
    });
    eventually([&] { return markers().count(PV_MARKER_device_dead) != 0; });
    EXPECT_GE(fake_->resets, 2U);
    EXPECT_EQ(markers().results(PV_MARKER_device_dead, 1), std::vector<std::uint64_t>{PV_REASON_USELESS});
}

TEST_F(RecoveryTest, AnotherControllerAfterTheResetIsNotBelieved) {
    bring_up();
    fake_->judge(hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.fate = FakeFate::hold})));
    fake_->shape.serial = 'B';
    EXPECT_EQ(read(0, 8, 30_s).error(), Error::device_failed);
    EXPECT_NE(log().find("another serial number"), std::string::npos) << log();
}

TEST_F(RecoveryTest, NamespaceOfAnotherSizeAfterTheResetIsRetired) {
    bring_up();
    fake_->judge(hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.fate = FakeFate::hold})));
    fake_->shape.size = 4096;
    EXPECT_EQ(read(0, 8, 30_s).error(), Error::device_failed);
    EXPECT_NE(log().find("nvme0n1: not what it was"), std::string::npos) << log();
    settle();
    EXPECT_EQ(markers().count(PV_MARKER_device_dead), 0U);
}

// The id of a command that a recovery ended carries another generation than whoever has its slot now.
TEST_F(RecoveryTest, LateCompletionTouchesNothing) {
    patience_.command = 200_ms;
    bring_up();
    write(10, 8);
    fake_->judge(hold(IoOpcode::read, 1));
    EXPECT_TRUE(read(10, 8, 10_s));
    const auto reads = fake_->commands(false, static_cast<std::uint8_t>(IoOpcode::read));
    ASSERT_GE(reads.size(), 2U);
    const std::uint16_t stale = reads.front().command;
    // Slots are used in turn: read until the next command gets the slot of the stale one.
    const auto slot = [](std::uint16_t wire) { return wire % block::maximum_in_flight; };
    const std::size_t slots = block::maximum_in_flight - 1;  // a ring of as many entries holds one less
    const auto last_slot = [&] {
        return slot(fake_->commands(false, static_cast<std::uint8_t>(IoOpcode::read)).back().command);
    };
    std::size_t since = 0;
    while (last_slot() != slot(stale)) {
        ASSERT_LT(++since, 2 * block::maximum_in_flight);
        ASSERT_TRUE(read(10, 8, 10_s));
    }
    for (std::size_t i = 0; i + 1 < slots; ++i) {
        ASSERT_TRUE(read(10, 8, 10_s));
    }
    fake_->judge(hold(IoOpcode::write, 1));
    const auto refused = disk().counts().refused;
    dma::Pages pages = *dma::Pages::allocate(4096);
    std::atomic<bool> ended = false;
    std::thread writer{[&] {
        EXPECT_TRUE(disk().write(10, {pages, 0, 4096}, Deadline::after(10_s)));
        ended = true;
    }};
    eventually([&] { return fake_->held() == 1; });
    const std::uint16_t held =
        fake_->commands(false, static_cast<std::uint8_t>(IoOpcode::write)).back().command;
    EXPECT_EQ(slot(held), slot(stale)) << "the slot is somebody else's now";
    EXPECT_NE(held, stale);
    fake_->lie(1, stale, 0);
    eventually([&] { return disk().counts().refused == refused + 1; });
    EXPECT_EQ(disk().counts().refused, refused + 1);
    EXPECT_FALSE(ended) << "the write was not carried out yet";
    fake_->release();
    writer.join();
}

TEST_F(RecoveryTest, LostInterruptIsFoundAtTheDeadline) {
    bring_up();
    fake_->mute = true;
    EXPECT_TRUE(read(0, 8, 10_s));
    fake_->mute = false;
    EXPECT_EQ(markers().count(PV_MARKER_command_timeout), 0U);
}

TEST_F(RecoveryTest, HundredFaultsInARowLeaveNothing) {
    patience_.command = 4_ms;
    patience_.grace = 4_ms;
    bring_up();
    write(10, 8);
    settle();
    const auto before = dma::statistics();
    for (int i = 0; i < 100; ++i) {
        fake_->judge(i % 10 == 9
                         ? hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.status = 0x006}))
                         : hold(IoOpcode::read, 1, on_admin(AdminOpcode::abort, {.fate = FakeFate::aborts})));
        ASSERT_TRUE(read(10, 8, 10_s)) << i << "\n" << log();
    }
    settle();
    const auto after = dma::statistics();
    EXPECT_EQ(after.live, before.live);
    EXPECT_EQ(after.quarantined, before.quarantined);
    EXPECT_GE(disk().counts().repeated, 100U);  // a busy host makes other reads late, too
}

}  // namespace
}  // namespace pv::nvme
