// The clock's page: what is read is what was written at one moment, and who cannot be sure asks the kernel.
// SPDX-License-Identifier: MIT
#include "vdso/clock_page.hpp"

#include <gtest/gtest.h>
#include <time.h>

#include <thread>

namespace pv::vdso {
namespace {

constexpr auto release = std::memory_order_release;

void fill(ClockPage& page, std::uint64_t origin, std::int64_t wall_offset) {
    rewrite(page, [&] {
        page.origin.store(origin, release);
        page.multiplier.store(std::uint64_t{1} << 31, release);  // two ticks a nanosecond
        page.wall_offset.store(wall_offset, release);
        page.is_usable.store(1, release);
    });
}

TEST(ClockPage, KnowsTheClocksThatCountByTheCounter) {
    for (const int clock : {CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI}) {
        EXPECT_EQ(kind_of(clock), ClockKind::wall) << clock;
    }
    for (const int clock : {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME}) {
        EXPECT_EQ(kind_of(clock), ClockKind::since_boot) << clock;
    }
    for (const int clock : {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_REALTIME_ALARM,
                            CLOCK_BOOTTIME_ALARM, 10, 12, 77, -1, -6}) {
        EXPECT_EQ(kind_of(clock), ClockKind::other) << clock;
    }
}

TEST(ClockPage, CountsFromTheOriginAndFrom1970) {
    ClockPage page;
    fill(page, 1'000, 5'000'000'000);
    const auto counter = [] { return std::uint64_t{1'600}; };
    EXPECT_EQ(read(page, ClockKind::since_boot, counter), 300);
    EXPECT_EQ(read(page, ClockKind::wall, counter), 5'000'000'300);
    fill(page, 1'000, -5'000'000'000);
    EXPECT_EQ(read(page, ClockKind::wall, counter), -4'999'999'700);
    EXPECT_EQ(read(page, ClockKind::other, counter), std::nullopt);
}

TEST(ClockPage, SendsToTheKernelWhereThereIsNothingToRead) {
    const auto counter = [] { return std::uint64_t{1}; };
    ClockPage page;
    EXPECT_EQ(read(page, ClockKind::since_boot, counter), std::nullopt);
    fill(page, 0, 0);
    EXPECT_TRUE(read(page, ClockKind::since_boot, counter));
    rewrite(page, [&] {
        EXPECT_EQ(read(page, ClockKind::since_boot, counter), std::nullopt);
        EXPECT_EQ(read(page, ClockKind::wall, counter), std::nullopt);
    });
    EXPECT_TRUE(read(page, ClockKind::since_boot, counter));
    rewrite(page, [&] { page.is_usable.store(0, release); });
    EXPECT_EQ(read(page, ClockKind::wall, counter), std::nullopt);
}

TEST(ClockPage, ReadsAgainWhenItWasWrittenMeanwhile) {
    ClockPage page;
    fill(page, 0, 0);
    int times = 0;
    const auto once = [&] {
        if (times++ == 0) {
            fill(page, 400, 1'000);
        }
        return std::uint64_t{600};
    };
    EXPECT_EQ(read(page, ClockKind::wall, once), 1'100);
    EXPECT_EQ(times, 2);
    // Never longer than a few times.
    int writes = 0;
    const auto always = [&] {
        fill(page, 0, ++writes);
        return std::uint64_t{600};
    };
    EXPECT_EQ(read(page, ClockKind::wall, always), std::nullopt);
    EXPECT_LE(writes, 10);
}

// Origin and offset always belong together: the sum is the same at each moment.
TEST(ClockPage, IsNeverReadTorn) {
    ClockPage page;
    fill(page, 0, 0);
    std::atomic<bool> done{false};
    std::atomic<int> writes{0};
    std::thread writer([&] {
        for (std::int64_t i = 0; !done.load(); ++i) {
            fill(page, static_cast<std::uint64_t>(i % 1'000 * 2), i % 1'000);
            ++writes;
        }
    });
    constexpr int wanted = 100'000;
    int readings = 0;
    std::int64_t wrong = 0;
    while (readings < wanted || writes < wanted) {
        if (const auto time = read(page, ClockKind::wall, [] { return std::uint64_t{1'000'000}; })) {
            ++readings;
            wrong += *time != 500'000;
        }
    }
    done = true;
    writer.join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace pv::vdso
