// virtio-console: the log's mirror, whose device may stall, lie or go away without anybody waiting for it.
// SPDX-License-Identifier: MIT
#include "device/virtio/console.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/log.hpp"
#include "device/virtio/backlog.hpp"
#include "disk_machine.hpp"
#include "fake_virtio.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

TEST(BacklogTest, KeepsWholeLinesInOrderAndCountsTheRest) {
    Backlog<16> backlog;
    std::array<char, 5> out{};
    std::string all;
    const auto drain = [&] {
        while (const std::size_t length = backlog.take(out)) {
            all.append(out.data(), length);
        }
    };
    for (int round = 0; round < 10; ++round) {
        backlog.put("abcdef");
        backlog.put("0123456");
        backlog.put("no room");
        backlog.put("");
        all.clear();
        drain();
        ASSERT_EQ(all, "abcdef\n0123456\n\n");
        ASSERT_EQ(backlog.dropped(), static_cast<std::uint64_t>(round + 1));
    }
}

class VirtioConsoleTest : public block::DiskMachine {
  protected:
    void bring_up() {
        FakeShape shape{.device_id = 0x1043, .queues = 2, .configuration_length = 0x10};
        shape.features &= ~(fake_features & 0xffffff);  // those of virtio-blk
        fake_ = std::make_unique<FakeVirtio>(shape);
        auto console = Console::create(fake_->function(), 0, patience_);
        ASSERT_TRUE(console) << log();
        console_ = std::move(*console);
    }

    void let_go() override { console_.reset(); }

    void take_away() override { fake_.reset(); }

    Patience patience_{.command = 30_ms, .grace = 50_ms, .reset = 400_ms};
    std::unique_ptr<FakeVirtio> fake_;
    std::unique_ptr<Console> console_;
};

TEST_F(VirtioConsoleTest, SaysWhatTheLogSaysInOrder) {
    bring_up();
    for (int i = 0; i < 50; ++i) {
        log::info("line {} of the log", i);
    }
    eventually([&] { return fake_->text().find("line 49 of the log\n") != std::string::npos; });
    const std::string text = fake_->text();
    std::size_t place = 0;
    for (int i = 0; i < 50; ++i) {
        place = text.find("line " + std::to_string(i) + " of the log\n", place);
        ASSERT_NE(place, std::string::npos) << i;
    }
    log::info("the last words");
    console_->stop(within(1_s));
    EXPECT_NE(fake_->text().find("the last words"), std::string::npos);
    log::info("not for it any more");
    EXPECT_EQ(fake_->text().find("not for it"), std::string::npos);
}

TEST_F(VirtioConsoleTest, StalledOneIsResetAndWhoLogsNeverWaits) {
    bring_up();
    // The device lives longer than this function does.
    fake_->judge(
        [held = std::make_shared<std::atomic<bool>>(false)](std::uint16_t, BlockRequest, std::uint64_t) {
            return held->exchange(true) ? FakeAnswer{} : FakeAnswer{.fate = FakeFate::hold};
        });
    const Instant begun = now();
    log::info("held at first");
    EXPECT_LT(now() - begun, 1_s);
    eventually([&] { return fake_->text().find("held at first") != std::string::npos; });
    EXPECT_NE(fake_->text().find("held at first"), std::string::npos) << log();
    EXPECT_EQ(fake_->resets, 1U);
}

TEST_F(VirtioConsoleTest, RemovedOneEndsTheMirror) {
    bring_up();
    fake_->gone = true;
    for (int i = 0; i < 2000; ++i) {
        log::info("a line that goes nowhere, number {}", i);
    }
    eventually([&] { return log().find("it was removed") != std::string::npos; });
    EXPECT_NE(log().find("it was removed"), std::string::npos);
    const std::uint64_t before = Console::dropped();
    EXPECT_GT(before, 0U) << "more than is kept";
}

}  // namespace
}  // namespace pv::virtio
