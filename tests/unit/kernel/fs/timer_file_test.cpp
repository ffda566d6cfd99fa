// Alarms and timerfd: when they ring, what is counted, and what ends while it is set.
// SPDX-License-Identifier: MIT
#include "fs/timer_file.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "fs/epoll.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using namespace literals;
using test::error_of;

Outcome<std::uint64_t> fired(TimerFile& timer) {
    std::uint64_t count = 0;
    SpanTarget target(writable_bytes_of(count));
    static_cast<void>(PV_TRY(timer.read(target)));
    return count;
}

TEST(TimerFileTest, AReaderWaitsUntilItFires) {
    const auto timer = TimerFile::create(false, 0).value();
    const Instant begin = now();
    timer->set(begin + 20_ms, Duration());
    EXPECT_EQ(fired(*timer).value(), 1U);
    EXPECT_GE(now() - begin, 20_ms);
    EXPECT_EQ(timer->schedule().left, Duration());
}

TEST(TimerFileTest, WhatWasMissedIsCounted) {
    const auto timer = TimerFile::create(false, open_flag::nonblock).value();
    EXPECT_EQ(error_of(fired(*timer)), Errno::eagain);
    const Instant begin = now();
    timer->set(begin + 1_ms, 1_ms);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    const std::uint64_t count = fired(*timer).value();
    const Duration passed = now() - begin;
    EXPECT_GE(count, 29U);
    EXPECT_LE(count, passed.to_milliseconds());
    EXPECT_EQ(timer->schedule().interval, 1_ms);
}

TEST(TimerFileTest, SettingItAgainForgetsTheOldMoment) {
    const auto timer = TimerFile::create(false, open_flag::nonblock).value();
    timer->set(now() + 1_ms, Duration());
    const TimerSchedule before = timer->set(Instant::max(), Duration());
    EXPECT_LE(before.left, 1_ms);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(error_of(fired(*timer)), Errno::eagain);
    EXPECT_EQ(timer->poll(nullptr), 0U);
}

TEST(TimerFileTest, AWatcherIsToldEachTimeAfterItWasRead) {
    const auto timer = TimerFile::create(false, open_flag::nonblock).value();
    const auto epoll = Epoll::create().value();
    ASSERT_TRUE(epoll->add(*timer, 3, {poll_event::in | epoll_flag::edge, 9}));
    timer->set(now() + 1_ms, 1_ms);
    for (int i = 0; i < 20; ++i) {
        std::array<EpollEvent, 1> room;
        std::uint64_t round = 0;
        ASSERT_EQ(epoll->wait_for(room, Deadline::after(10_s), round).value(), 1U);
        ASSERT_TRUE(fired(*timer));
    }
}

TEST(TimerFileTest, OnesThatEndWhileTheyAreSetAreNotRung) {
    const std::uint64_t before = OpenFile::count();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([] {
            for (int i = 0; i < 3000; ++i) {
                const auto timer = TimerFile::create(false, open_flag::nonblock).value();
                timer->set(now() + Duration::microseconds(static_cast<std::uint64_t>(i) % 30), Duration());
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    // The one that rings at this moment goes with its ring.
    const Deadline patience = Deadline::after(10_s);
    while (OpenFile::count() != before && !patience.expired()) {
        std::this_thread::yield();
    }
    EXPECT_EQ(OpenFile::count(), before);
}

}  // namespace
}  // namespace pv::fs
