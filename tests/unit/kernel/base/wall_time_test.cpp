// Civil time: set once, carried on by the monotonic clock, also before 1970.
// SPDX-License-Identifier: MIT
#include "base/wall_time.hpp"

#include <gtest/gtest.h>

namespace pv {
namespace {

TEST(WallTime, GoesOnFromWhatWasSet) {
    set_wall_time({.seconds = 1'000});
    const Timestamp first = wall_time();
    EXPECT_GE(first.seconds, 1'000);
    EXPECT_LT(first.seconds, 1'100);
    EXPECT_GE(wall_time(), first);
}

TEST(WallTime, CountsNanosecondsForwardsBefore1970) {
    set_wall_time({.seconds = -1'000, .nanoseconds = 250'000'000});
    const Timestamp time = wall_time();
    EXPECT_GE(time, (Timestamp{.seconds = -1'000, .nanoseconds = 250'000'000}));
    EXPECT_LT(time.seconds, -900);
    EXPECT_LT(time.nanoseconds, 1'000'000'000U);
}

}  // namespace
}  // namespace pv
