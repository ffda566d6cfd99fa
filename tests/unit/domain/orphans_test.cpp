// Orphans are reaped, and nobody else's children.
// SPDX-License-Identifier: MIT
#include "domain/orphans.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

namespace pv::domain {
namespace {

using namespace std::chrono_literals;

void wait_until_gone(pid_t process) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (::kill(process, 0) == 0 && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_NE(::kill(process, 0), 0) << "it is a zombie still";
}

// As QEMU's -daemonize leaves one behind: an orphan that leads its own session.
TEST(OrphanReaper, TakesAnOrphanThatLeadsASession) {
    const OrphanReaper reaper;
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t starter = ::fork();
    if (starter == 0) {
        const pid_t leader = ::fork();
        if (leader == 0) {
            ::setsid();
            ::execl("/bin/sleep", "sleep", "0.05", nullptr);
            ::_exit(1);
        }
        ::_exit(::write(ends[1], &leader, sizeof leader) == sizeof leader ? 0 : 1);
    }
    pid_t leader = 0;
    ASSERT_EQ(::read(ends[0], &leader, sizeof leader), static_cast<ssize_t>(sizeof leader));
    ::close(ends[0]);
    ::close(ends[1]);
    int status = -1;
    EXPECT_EQ(::waitpid(starter, &status, 0), starter);
    wait_until_gone(leader);
}

TEST(OrphanReaper, TakesTheDaemonAndLeavesWhoStartedIt) {
    const OrphanReaper reaper;
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    // As libvirt starts QEMU: a child with a session of its own forks, and ends at once.
    const pid_t starter = ::fork();
    if (starter == 0) {
        ::setsid();
        const pid_t daemon = ::fork();
        if (daemon == 0) {
            ::usleep(10'000);
            ::_exit(0);
        }
        ::_exit(::write(ends[1], &daemon, sizeof daemon) == sizeof daemon ? 7 : 8);
    }
    pid_t daemon = 0;
    ASSERT_EQ(::read(ends[0], &daemon, sizeof daemon), static_cast<ssize_t>(sizeof daemon));
    ::close(ends[0]);
    ::close(ends[1]);
    // Time enough for the reaper to have seen both ends before anybody asks for the starter's.
    siginfo_t seen{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(starter), &seen, WEXITED | WNOWAIT), 0);
    std::this_thread::sleep_for(100ms);
    int status = -1;
    EXPECT_EQ(::waitpid(starter, &status, 0), starter) << "errno " << errno;
    EXPECT_EQ(WEXITSTATUS(status), 7);
    wait_until_gone(daemon);
}

}  // namespace
}  // namespace pv::domain
