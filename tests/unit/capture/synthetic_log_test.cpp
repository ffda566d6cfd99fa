// The generator that tests and benchmarks feed on: every line of it is understood, and its counts are right.
// SPDX-License-Identifier: MIT
#include "support/synthetic_log.hpp"

#include <gtest/gtest.h>

#include <set>

#include "capture/parser.hpp"

namespace pv::capture {
namespace {

TEST(SyntheticLog, is_understood_to_the_last_line) {
    Parser parser([](std::string_view) { return 1; });
    const std::string log = test::synthetic_log(20'000);
    std::set<trace::Kind> kinds;
    std::uint64_t lines = 0;
    for (std::size_t at = 0; at < log.size(); ++lines) {
        const std::size_t end = log.find('\n', at);
        const auto event = parser.feed(std::string_view(log).substr(at, end - at));
        ASSERT_TRUE(event) << log.substr(at, end - at);
        kinds.insert(event->kind);
        at = end + 1;
    }
    EXPECT_NEAR(static_cast<double>(lines), 20'000, 100);
    EXPECT_EQ(parser.statistics().events, lines);
    EXPECT_GT(kinds.size(), 45U);
    EXPECT_EQ(log, test::synthetic_log(20'000));
    EXPECT_NE(log, test::synthetic_log(20'000, 2));
}

}  // namespace
}  // namespace pv::capture
