// Programs of others: what they print, how they end, and that they end.
// SPDX-License-Identifier: MIT
#include "images/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

namespace pv::images {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Program, status_output_errors_and_status_lines_are_told_apart) {
    std::vector<std::string> lines;
    const auto outcome =
        run_program({"sh", "-c", "echo out; echo err >&2; printf 'one\\ntwo\\n' >&3; exit 7"}, 60s, {},
                    [&lines](std::string_view line) { lines.emplace_back(line); });
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
    EXPECT_EQ(outcome->status, 7);
    EXPECT_EQ(outcome->output, "out\n");
    EXPECT_EQ(outcome->errors, "err\n");
    EXPECT_THAT(lines, ElementsAre("one", "two"));
}

TEST(Program, that_is_not_there_is_unavailable) {
    const auto outcome = run_program({"paravane-none"}, 60s, {});
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().status, ExitStatus::unavailable);
    EXPECT_THAT(outcome.error().message, HasSubstr("paravane-none"));
}

TEST(Program, is_ended_with_all_it_started_when_the_user_gives_up) {
    const int cancel = ::eventfd(0, EFD_CLOEXEC);
    Work work;
    work.cancel = cancel;
    pid_t below = 0;
    // The user gives up as soon as the program below it has said its number.
    const auto outcome =
        run_program({"sh", "-c", "sleep 1000 & echo $! >&3; wait"}, 600s, work, [&](std::string_view line) {
            below = std::stoi(std::string(line));
            const std::uint64_t one = 1;
            ASSERT_EQ(::write(cancel, &one, sizeof one), static_cast<ssize_t>(sizeof one));
        });
    ::close(cancel);
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().status, ExitStatus::interrupted);
    ASSERT_GT(below, 0);
    // It is another's child by now: gone once its new parent has reaped it.
    for (int i = 0; i < 500 && ::kill(below, 0) == 0; ++i) {
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_NE(::kill(below, 0), 0);
}

TEST(Program, that_takes_too_long_is_ended) {
    const auto outcome = run_program({"sleep", "1000"}, 0s, {});
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().status, ExitStatus::unavailable);
}

}  // namespace
}  // namespace pv::images
