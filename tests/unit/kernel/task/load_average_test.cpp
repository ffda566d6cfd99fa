// Load averages against the definition: exp(-5 s / minutes) of the last value, the rest of what is found.
// SPDX-License-Identifier: MIT
#include "task/load_average.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace pv::task {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

class LoadAverageTest : public testing::Test {
  protected:
    static Instant at(std::uint64_t seconds) { return Instant::since_boot(Duration::seconds(seconds)); }

    [[nodiscard]] std::array<double, 3> values(std::uint64_t seconds) const {
        std::array<double, 3> all{};
        const auto raw = load_.values(at(seconds));
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i] = std::ldexp(static_cast<double>(raw[i]), -static_cast<int>(LoadAverage::fraction_bits));
        }
        return all;
    }

    void busy(std::uint64_t from, std::uint64_t to, std::uint64_t threads) {
        for (std::uint64_t second = from; second < to; ++second) {
            load_.sample(at(second), threads);
            load_.sample(at(second), threads);  // of another processor
        }
    }

    /// After so many seconds of a load of one, from nothing.
    static double risen(double seconds, double minutes) { return 1 - std::exp(-seconds / 60 / minutes); }

    LoadAverage load_;
};

TEST_F(LoadAverageTest, BeginsAtNothing) {
    EXPECT_THAT(values(0), ElementsAre(0, 0, 0));
    busy(0, 5, 9);
    EXPECT_THAT(values(4), ElementsAre(0, 0, 0)) << "the first sample comes after five seconds";
}

TEST_F(LoadAverageTest, RisesAsFastAsItsMinutesSay) {
    busy(1, 121, 2);
    EXPECT_THAT(values(120),
                ElementsAre(DoubleNear(2 * risen(120, 1), 0.002), DoubleNear(2 * risen(120, 5), 0.002),
                            DoubleNear(2 * risen(120, 15), 0.002)));
}

TEST_F(LoadAverageTest, ComesToWhatIsThereAndStays) {
    busy(1, 7200, 3);
    EXPECT_THAT(values(7199), ElementsAre(DoubleNear(3, 0.01), DoubleNear(3, 0.01), DoubleNear(3, 0.01)));
}

TEST_F(LoadAverageTest, HoldsMoreThreadsThanThereCanBe) {
    busy(1, 3600, 100'000);
    EXPECT_THAT(values(3599)[0], DoubleNear(100'000, 1));
}

TEST_F(LoadAverageTest, FallsWhileNobodySamples) {
    busy(1, 7200, 1);
    const std::array<double, 3> before = values(7199);
    const std::array<double, 3> later = values(7319);
    for (std::size_t i = 0; i < before.size(); ++i) {
        const double minutes = std::array{1.0, 5.0, 15.0}[i];
        EXPECT_THAT(later[i] / before[i], DoubleNear(std::exp(-120 / 60 / minutes), 0.03));
    }
    // The sample after that, two intervals on, finds the same and no more.
    load_.sample(at(7320), 0);
    EXPECT_THAT(values(7320)[0], DoubleNear(later[0] * std::exp(-10.0 / 60), 0.002));
    EXPECT_THAT(values(1'000'000'000), ElementsAre(0, 0, 0));
}

}  // namespace
}  // namespace pv::task
