// The run's folder goes with its owner, and with a killed owner too, together with the run's processes.
// SPDX-License-Identifier: MIT
#include "domain/scratch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/file.hpp"

namespace pv::domain {
namespace {

using namespace std::chrono_literals;

TEST(Scratch, goes_with_its_owner) {
    std::filesystem::path path;
    {
        const auto scratch = Scratch::create().value();
        path = scratch->path();
        EXPECT_TRUE(std::filesystem::is_directory(path));
        EXPECT_LT(path.string().size(), 40U);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Scratch, goes_when_its_owner_is_killed) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t owner = ::fork();
    if (owner == 0) {
        const auto scratch = Scratch::create().value();
        // A process of the run, known by the folder in its arguments, in a session of its own as QEMU is. One
        // without children: such a child would live on, and keep the output of the test open.
        if (::fork() == 0) {
            ::setsid();
            ::execl("/usr/bin/tail", "tail", "-f", "/dev/null", scratch->path().c_str(), nullptr);
            ::_exit(1);
        }
        const std::string path = scratch->path().string();
        while (processes_naming(path).empty()) {
            std::this_thread::sleep_for(5ms);
        }
        [[maybe_unused]] const ssize_t put = ::write(ends[1], path.data(), path.size());
        ::pause();
    }
    char buffer[64] = {};
    ASSERT_GT(::read(ends[0], buffer, sizeof buffer - 1), 0);
    const std::string path = buffer;
    ASSERT_FALSE(processes_naming(path).empty());
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while ((std::filesystem::exists(path) || !processes_naming(path).empty()) &&
           std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE(processes_naming(path).empty());
    ::close(ends[0]);
    ::close(ends[1]);
}

// Linux answers ESRCH to who reads on behind the end of the process.
TEST(ReadOpen, says_that_a_process_ended_meanwhile) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const Descriptor words(::open(fmt::format("/proc/{}/cmdline", child).c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(words);
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    const auto got = read_open(words.get(), "the process", 1000);
    EXPECT_TRUE(!got || got->empty());
    const Descriptor folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto none = read_open(folder.get(), "the folder", 1000);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message, "the folder cannot be read: Is a directory");
}

}  // namespace
}  // namespace pv::domain
