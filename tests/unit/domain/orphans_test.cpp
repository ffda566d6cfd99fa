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

struct Births {
    pid_t starter = 0;  ///< a child of ours, which ends at once with 7
    pid_t child = 0;    ///< of it, an orphan then
};

// `prepare` is what the starter does first, `live` what its child does.
template <class Prepare, class Live>
Births give_birth(Prepare prepare, Live live) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    Births births;
    births.starter = ::fork();
    if (births.starter == 0) {
        prepare();
        const pid_t child = ::fork();
        if (child == 0) {
            live();
            ::_exit(1);
        }
        ::_exit(::write(ends[1], &child, sizeof child) == sizeof child ? 7 : 8);
    }
    EXPECT_EQ(::read(ends[0], &births.child, sizeof births.child), static_cast<ssize_t>(sizeof births.child));
    ::close(ends[0]);
    ::close(ends[1]);
    return births;
}

void expect_end(pid_t starter) {
    int status = -1;
    EXPECT_EQ(::waitpid(starter, &status, 0), starter) << "errno " << errno;
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

// As QEMU's -daemonize leaves one behind: an orphan that leads its own session.
TEST(OrphanReaper, TakesAnOrphanThatLeadsASession) {
    const OrphanReaper reaper;
    const Births births = give_birth([] {},
                                     [] {
                                         ::setsid();
                                         ::execl("/bin/sleep", "sleep", "0.05", nullptr);
                                     });
    expect_end(births.starter);
    wait_until_gone(births.child);
}

// As libvirt starts QEMU: a child with a session of its own forks, and ends at once.
TEST(OrphanReaper, TakesTheDaemonAndLeavesWhoStartedIt) {
    const OrphanReaper reaper;
    const Births births = give_birth([] { ::setsid(); }, [] { ::usleep(10'000); });
    // Time enough for the reaper to have seen both ends before anybody asks for the starter's.
    siginfo_t seen{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(births.starter), &seen, WEXITED | WNOWAIT), 0);
    std::this_thread::sleep_for(100ms);
    expect_end(births.starter);
    wait_until_gone(births.child);
}

}  // namespace
}  // namespace pv::domain
