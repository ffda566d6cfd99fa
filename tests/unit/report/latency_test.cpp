// Percentiles against sorting, and bounded series.
// SPDX-License-Identifier: MIT
#include "report/latency.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "fixture.hpp"

namespace {

using pv::report::DurationHistogram;
using pv::report::Latencies;

pv::store::Command command(std::int64_t submitted, std::optional<std::int64_t> completed,
                           std::string operation = "read") {
    pv::store::Command result;
    result.bdf = 8;
    result.operation = std::move(operation);
    result.submitted = submitted;
    result.completed = completed;
    result.outcome = completed ? "completed" : "lost";
    return result;
}

TEST(DurationHistogram, IsEmptyAtFirst) {
    const DurationHistogram histogram;
    EXPECT_EQ(histogram.count(), 0U);
    EXPECT_EQ(histogram.percentile(0.99), 0U);
    EXPECT_TRUE(histogram.buckets().empty());
}

TEST(DurationHistogram, IsExactBelow32) {
    DurationHistogram histogram;
    for (std::uint64_t i = 1; i <= 20; ++i) {
        histogram.add(i);
    }
    EXPECT_EQ(histogram.percentile(0.5), 10U);
    EXPECT_EQ(histogram.percentile(0.9), 18U);
    EXPECT_EQ(histogram.percentile(1), 20U);
    EXPECT_EQ(histogram.min(), 1U);
    EXPECT_EQ(histogram.max(), 20U);
}

TEST(DurationHistogram, AgreesWithSortingWithinTwoPercent) {
    std::mt19937_64 random(3);
    std::lognormal_distribution<double> distribution(7, 2);
    DurationHistogram histogram;
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 50'000; ++i) {
        values.push_back(static_cast<std::uint64_t>(distribution(random)));
        histogram.add(values.back());
    }
    std::ranges::sort(values);
    for (const double part : {0.01, 0.1, 0.5, 0.9, 0.99, 0.999}) {
        const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size()))) - 1;
        const auto exact = static_cast<double>(values[rank]);
        EXPECT_NEAR(static_cast<double>(histogram.percentile(part)), exact, exact * 0.02 + 0.5) << part;
    }
}

TEST(DurationHistogram, BucketsHoldEverythingInOrder) {
    DurationHistogram histogram;
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{31}, std::uint64_t{32}, std::uint64_t{1'000'000}, UINT64_MAX}) {
        histogram.add(value);
    }
    std::uint64_t total = 0;
    std::uint64_t before = 0;
    for (const DurationHistogram::Bucket& bucket : histogram.buckets()) {
        EXPECT_LT(bucket.low, bucket.high);
        EXPECT_GE(bucket.low, before);
        before = bucket.high;
        total += bucket.count;
    }
    EXPECT_EQ(total, histogram.count());
    EXPECT_EQ(histogram.max(), UINT64_MAX);
}

TEST(Latencies, KeepDevicesAndOperationsApart) {
    Latencies latencies;
    const pv::store::Command read = command(10, 40);
    const pv::store::Command lost = command(10, std::nullopt);
    const pv::store::Command flush = command(10, 40, "flush");
    EXPECT_EQ(latencies.add(read), 0U);
    EXPECT_EQ(latencies.add(flush), 1U);
    EXPECT_EQ(latencies.add(lost), 0U);
    ASSERT_EQ(latencies.series().size(), 2U);
    EXPECT_EQ(latencies.series()[0].commands, 2U);
    EXPECT_EQ(latencies.series()[0].completed, 1U);
    EXPECT_EQ(latencies.series()[0].histogram.count(), 1U);
    EXPECT_EQ(latencies.series()[0].histogram.max(), 30U);
}

TEST(Latencies, AreBoundedWhateverTheTraceSays) {
    Latencies latencies;
    for (int i = 0; i < 1'000; ++i) {
        latencies.add(command(0, 1, fmt::format("operation {}", i)));
    }
    EXPECT_EQ(latencies.series().size(), Latencies::max_series);
    EXPECT_EQ(latencies.series().back().operation, "other");
    EXPECT_EQ(latencies.series().back().commands, 1'000U - Latencies::max_series + 1);
}

TEST(Latencies, IgnoreACompletionBeforeItsSubmission) {
    EXPECT_FALSE(pv::report::latency_of(command(10, 9)));
    EXPECT_FALSE(pv::report::latency_of(command(10, std::nullopt)));
    EXPECT_EQ(pv::report::latency_of(command(INT64_MIN, INT64_MAX)), UINT64_MAX);
}

class Commands : public pv::test::ReportTest {};

TEST_F(Commands, AreAllSeenPageByPage) {
    pv::store::Trace trace = sample({.findings = false, .events = 10, .commands = 25'003});
    std::size_t seen = 0;
    std::int64_t last = 0;
    ASSERT_TRUE(pv::report::for_each_command(trace, [&](const pv::store::Command& command) {
        EXPECT_GT(command.id, last);
        last = command.id;
        ++seen;
    }));
    EXPECT_EQ(seen, 25'003U);
}

}  // namespace
