// Two counters that differ are noticed, and made one clock.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/clock_skew.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace pv::arch {
namespace {

// One count for both threads; the second one's counter lags behind by `lag`.
std::uint64_t step_seen(std::uint64_t lag) {
    std::atomic<std::uint64_t> time{1'000'000};
    SkewTest test;
    std::atomic<int> ready{0};
    const auto run = [&](std::uint64_t behind) {
        ++ready;
        while (ready < 2) {
            std::this_thread::yield();
        }
        for (int i = 0; i < 200; ++i) {
            test.run(100, [&] { return time.fetch_add(10) - behind; });
            std::this_thread::yield();
        }
    };
    std::thread second(run, lag);
    run(0);
    second.join();
    // However the host let the two run: at the end the one that lags reads right after the other.
    for (const std::uint64_t behind : {std::uint64_t{0}, lag}) {
        test.run(1, [&] { return time.fetch_add(10) - behind; });
    }
    return test.backwards();
}

TEST(ClockSkew, EqualCountersNeverStepBack) {
    EXPECT_EQ(step_seen(0), 0U);
}

TEST(ClockSkew, ALaggingCounterIsNoticed) {
    const std::uint64_t step = step_seen(5'000);
    EXPECT_GT(step, 0U);
    EXPECT_LE(step, 5'000U);
}

TEST(SharedMaximum, NoReadingIsBeforeOneGivenOut) {
    SharedMaximum clock;
    std::atomic<std::uint64_t> time{0};
    std::atomic<std::uint64_t> latest{0};
    std::atomic<int> backwards{0};
    const auto run = [&](std::uint64_t behind) {
        for (int i = 0; i < 50'000; ++i) {
            const std::uint64_t before = latest.load();
            const std::uint64_t now = time.fetch_add(3) + 1'000;
            const std::uint64_t reading = clock.at_least(now - behind);
            backwards += reading < before ? 1 : 0;
            std::uint64_t seen = latest.load();
            while (seen < reading && !latest.compare_exchange_weak(seen, reading)) {
            }
        }
    };
    std::thread second(run, 900);
    run(0);
    second.join();
    EXPECT_EQ(backwards, 0);
}

}  // namespace
}  // namespace pv::arch
