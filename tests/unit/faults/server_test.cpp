// A real nbdkit with our plugin, seen from the other end of its socket by QEMU's own client, qemu-io.
// SPDX-License-Identifier: MIT
#include "faults/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "faults/image.hpp"

namespace pv::faults {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

struct Outcome {
    std::string text;
    std::chrono::milliseconds time;
};

class FaultServerTest : public testing::Test {
  protected:
    void SetUp() override { std::filesystem::create_directory(folder); }

    void TearDown() override {
        server.reset();
        EXPECT_TRUE(std::filesystem::is_empty(folder)) << "something was left in " << folder;
        std::filesystem::remove_all(folder);
    }

    ServerOptions options(const std::vector<std::string>& faults) {
        for (const std::string& text : faults) {
            plan.push_back(parse_fault(text).value());
        }
        ServerOptions chosen;
        chosen.disk = "disk0";
        chosen.backing = std::uint64_t{16 << 20};
        chosen.plugin = PV_TEST_PLUGIN;
        chosen.socket_dir = folder;
        chosen.faults = plan;
        chosen.on_event = [this](const FaultEvent& event) {
            const std::scoped_lock hold{lock};
            events.push_back(event);
            changed.notify_all();
        };
        return chosen;
    }

    void start(const std::vector<std::string>& faults) {
        auto started = FaultServer::start(options(faults));
        ASSERT_TRUE(started) << started.error().message;
        server = std::move(*started);
    }

    /// Runs qemu-io's commands on the disk, one connection for all.
    Outcome io(const std::string& commands) {
        const std::string command = "timeout 30 qemu-io -f raw " + commands +
                                    " 'nbd+unix:///?socket=" + server->socket_path().native() + "' 2>&1";
        const auto begin = Clock::now();
        Outcome outcome;
        FILE* pipe = popen(command.c_str(), "r");
        std::array<char, 256> buffer;
        while (fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
            outcome.text += buffer.data();
        }
        pclose(pipe);
        outcome.time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
        return outcome;
    }

    bool wait_for_events(std::size_t count, std::chrono::seconds most = 10s) {
        std::unique_lock hold{lock};
        return changed.wait_for(hold, most, [&] { return events.size() >= count; });
    }

    std::filesystem::path folder =
        std::filesystem::path{testing::TempDir()} / ("pv-faults-" + std::to_string(getpid()));
    std::vector<Fault> plan;
    std::mutex lock;
    std::condition_variable changed;
    std::vector<FaultEvent> events;
    std::unique_ptr<FaultServer> server;
};

TEST_F(FaultServerTest, IsADiskThatRemembers) {
    start({});
    const Outcome outcome = io(
        "-c 'write -P 0x5a 1M 64k' -c flush -c 'read -v 1M 16' -c 'write -z 1M 4k' -c 'discard 2M 64k' "
        "-c 'read -P 0 1M 4k' -c 'read -P 0x5a 1028k 60k' -c 'write -f -P 7 3M 512' -c 'read -P 7 3M 512'");
    EXPECT_THAT(outcome.text, HasSubstr("wrote 65536/65536"));
    EXPECT_THAT(outcome.text, HasSubstr("5a 5a 5a"));
    EXPECT_THAT(outcome.text, Not(HasSubstr("fail")));
    const auto stats = server->stats();
    ASSERT_TRUE(stats) << stats.error().message;
    EXPECT_EQ(stats->writes, 2U);
    EXPECT_GE(stats->flushes, 1U);
    EXPECT_EQ(stats->zeroes, 1U);
    EXPECT_EQ(stats->trims, 1U);
    EXPECT_EQ(stats->held + stats->failed + stats->delayed, 0U);
    EXPECT_TRUE(events.empty());
}

TEST_F(FaultServerTest, TheThirdWriteFailsWithItsError) {
    start({"fail disk0 write 3 ENOSPC", "stall disk1 any"});
    const Outcome outcome =
        io("-c 'write 0 4k' -c 'write 4k 4k' -c 'write 8k 4k' -c 'write 12k 4k' -c 'read 0 512'");
    EXPECT_THAT(outcome.text, HasSubstr("write failed: No space left on device"));
    EXPECT_THAT(outcome.text, HasSubstr("wrote 4096/4096 bytes at offset 12288"));
    EXPECT_THAT(outcome.text, Not(HasSubstr("wrote 4096/4096 bytes at offset 8192")));
    ASSERT_TRUE(wait_for_events(2));
    EXPECT_EQ(events[0].phase, FaultEvent::Phase::begin);
    EXPECT_EQ(events[1].phase, FaultEvent::Phase::end);
    EXPECT_EQ(events[0].offset, 8192U);
    EXPECT_EQ(events[0].length, 4096U);
    EXPECT_EQ(events[0].operation, Operation::write);
    EXPECT_EQ(events[0].detail, "fail disk0 write 3 ENOSPC");
    EXPECT_EQ(trace_line(events[0], 0),
              "paravane_fault_begin disk 0 operation 2 offset 8192 length 4096 detail "
              "'fail disk0 write 3 ENOSPC'");
}

TEST_F(FaultServerTest, ReadsFailInARangeForEver) {
    start({"fail disk0 read at 1M+4k"});
    const Outcome outcome = io("-c 'read 0 4k' -c 'read 1M 512' -c 'read 1M 512'");
    EXPECT_THAT(outcome.text, HasSubstr("read 4096/4096 bytes at offset 0"));
    EXPECT_THAT(outcome.text, HasSubstr("read failed: Input/output error"));
    EXPECT_TRUE(wait_for_events(4));
}

TEST_F(FaultServerTest, HoldsForItsTimeAndOthersGoOn) {
    start({"stall disk0 read after 1 for 1500ms"});
    EXPECT_LT(io("-c 'read 0 512'").time, 1200ms);
    auto held = std::async(std::launch::async, [this] { return io("-c 'read -P 0 512 512'"); });
    ASSERT_TRUE(wait_for_events(1));
    EXPECT_THAT(io("-c 'write 1M 4k' -c flush").text, HasSubstr("wrote"));
    EXPECT_EQ(held.wait_for(0s), std::future_status::timeout);
    const Outcome outcome = held.get();
    EXPECT_GE(outcome.time, 1400ms);
    EXPECT_THAT(outcome.text, HasSubstr("read 512/512"));
    EXPECT_LT(io("-c 'read 0 512'").time, 1200ms) << "the fault is over";
}

TEST_F(FaultServerTest, HoldsUntilReleased) {
    start({"stall disk0 any"});
    auto held =
        std::async(std::launch::async, [this] { return io("-c 'write -P 9 0 4k' -c 'read -P 9 0 4k'"); });
    ASSERT_TRUE(wait_for_events(1));
    EXPECT_EQ(held.wait_for(400ms), std::future_status::timeout);
    EXPECT_EQ(server->stats().value().holding, 1U);
    ASSERT_TRUE(server->release_all());
    EXPECT_THAT(held.get().text, HasSubstr("read 4096/4096"));
    EXPECT_EQ(server->stats().value().holding, 0U);
}

TEST_F(FaultServerTest, DelaysEveryRequest) {
    start({"delay disk0 write by 200ms"});
    EXPECT_GE(io("-c 'write 0 512' -c 'write 0 512' -c 'write 0 512'").time, 600ms);
}

TEST_F(FaultServerTest, EndsWithHeldRequestsAtOnce) {
    start({"stall disk0 read"});
    auto held = std::async(std::launch::async, [this] { return io("-c 'read 0 512'"); });
    ASSERT_TRUE(wait_for_events(1));
    const auto begin = Clock::now();
    server->kill();
    EXPECT_FALSE(server->stats());
    EXPECT_THAT(held.get().text, HasSubstr("read failed"));
    EXPECT_LT(Clock::now() - begin, 5s);
}

/// nbdkit itself must end on SIGTERM while it holds requests.
TEST_F(FaultServerTest, ATerminatedServerLetsGoAndSaysSo) {
    start({"stall disk0 read"});
    auto held = std::async(std::launch::async, [this] { return io("-c 'read 0 512'"); });
    ASSERT_TRUE(wait_for_events(1));
    const auto begin = Clock::now();
    ::kill(server->pid(), SIGTERM);
    EXPECT_THAT(held.get().text, HasSubstr("read failed"));
    EXPECT_LT(Clock::now() - begin, 8s);
    std::unique_lock hold{lock};
    EXPECT_TRUE(
        changed.wait_for(hold, 10s, [&] { return events.back().phase == FaultEvent::Phase::server; }));
}

TEST_F(FaultServerTest, AnImageIsServedAndLocked) {
    const auto path = folder / "image.raw";
    std::ofstream{path}.close();
    std::filesystem::resize_file(path, 1 << 20);
    ServerOptions chosen = options({});
    chosen.backing = path;
    auto started = FaultServer::start(chosen);
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(*started);
    EXPECT_THAT(io("-c 'write -P 0x42 4k 512'").text, HasSubstr("wrote"));
    const auto second = FaultServer::start(chosen);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().status, ExitStatus::usage);
    EXPECT_THAT(second.error().message, HasSubstr("in use"));
    // QEMU's own locks and ours are the same ones.
    EXPECT_NE(std::system(("qemu-io -f raw -c 'read 0 512' " + path.native() + " >/dev/null 2>&1").c_str()),
              0);
    server.reset();
    EXPECT_EQ(
        std::system(("qemu-io -f raw -c 'read -P 0x42 4k 512' " + path.native() + " >/dev/null").c_str()), 0);
    std::filesystem::remove(path);
}

TEST_F(FaultServerTest, SaysWhatIsMissing) {
    ServerOptions chosen = options({});
    chosen.plugin = "/nonexistent.so";
    EXPECT_EQ(FaultServer::start(chosen).error().status, ExitStatus::unavailable);
    chosen = options({});
    chosen.nbdkit = "/nonexistent/nbdkit";
    const auto no_nbdkit = FaultServer::start(chosen);
    ASSERT_FALSE(no_nbdkit);
    EXPECT_EQ(no_nbdkit.error().status, ExitStatus::unavailable);
    EXPECT_THAT(no_nbdkit.error().hint, HasSubstr("apt-get install nbdkit"));
    chosen = options({});
    chosen.backing = std::filesystem::path{"/nonexistent.raw"};
    EXPECT_EQ(FaultServer::start(chosen).error().status, ExitStatus::usage);
    chosen.backing = std::uint64_t{100};
    EXPECT_EQ(FaultServer::start(chosen).error().status, ExitStatus::usage);
    chosen = options({});
    chosen.socket_dir = folder / std::string(100, 'x');
    EXPECT_THAT(FaultServer::start(chosen).error().message, HasSubstr("too long"));
    chosen = options({});
    chosen.socket_dir = folder / "missing";
    const auto no_folder = FaultServer::start(chosen);
    ASSERT_FALSE(no_folder);
    EXPECT_THAT(no_folder.error().message, HasSubstr("missing"));
    chosen = options({});
    chosen.plugin = "/etc/hostname";
    EXPECT_EQ(FaultServer::start(chosen).error().status, ExitStatus::unavailable);
}

TEST_F(FaultServerTest, ASilentServerIsGivenUpInTime) {
    ServerOptions chosen = options({});
    const auto script = folder / "nbdkit";
    std::ofstream{script} << "#!/bin/sh\nexec sleep 60\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    chosen.nbdkit = script.native();
    chosen.deadline = 300ms;
    const auto begin = Clock::now();
    const auto started = FaultServer::start(chosen);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().status, ExitStatus::incomplete);
    EXPECT_LT(Clock::now() - begin, 3s);
    std::filesystem::remove(script);
}

TEST_F(FaultServerTest, DiesWithTheToolHoweverThatEnds) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const pid_t tool = fork();
    ASSERT_GE(tool, 0);
    if (tool == 0) {
        auto started = FaultServer::start(options({"stall disk0 any"}));
        const int pid = started ? (*started)->pid() : -1;
        static_cast<void>(!write(pipe[1], &pid, sizeof pid));
        ::kill(getpid(), SIGKILL);
    }
    int server_pid = -1;
    ASSERT_EQ(read(pipe[0], &server_pid, sizeof server_pid), static_cast<ssize_t>(sizeof server_pid));
    ASSERT_GT(server_pid, 0);
    waitpid(tool, nullptr, 0);
    const auto deadline = Clock::now() + 10s;
    const auto process = std::filesystem::path{"/proc"} / std::to_string(server_pid) / "exe";
    std::error_code error;
    // The link is unreadable once the process is gone or waits to be reaped.
    while (!std::filesystem::read_symlink(process, error).empty() && Clock::now() < deadline) {
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_TRUE(std::filesystem::read_symlink(process, error).empty());
    close(pipe[0]);
    close(pipe[1]);
    std::filesystem::remove(folder / "disk0.nbd");  // nobody was left to do it
}

}  // namespace
}  // namespace pv::faults
