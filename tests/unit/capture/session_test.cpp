// The session: everything that went into the FIFO is in the trace, in order, whatever the writer does.
// SPDX-License-Identifier: MIT
#include "capture/session.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "capture/line.hpp"
#include "store/trace.hpp"
#include "support/temporary.hpp"

namespace pv::capture {
namespace {

using namespace std::chrono_literals;
using trace::Event;
using trace::Kind;

std::string line(int number) {
    return "812@1795231757." + std::to_string(100'000 + number % 800'000) +
           ":pci_nvme_mmio_doorbell_sq sqid 1 new_tail " + std::to_string(number) + "\n";
}

void write_all(int descriptor, const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
        const ssize_t count = ::write(descriptor, text.data() + at, text.size() - at);
        ASSERT_GT(count, 0);
        at += static_cast<std::size_t>(count);
    }
}

std::vector<Event> events_of(const std::filesystem::path& path) {
    std::vector<Event> events;
    store::Trace trace = *store::Trace::open(path);
    EXPECT_TRUE(trace.for_each_event({}, [&](const Event& event) { events.push_back(event); }));
    return events;
}

TEST(Session, stores_everything_a_fast_writer_sends_through_a_fifo) {
    constexpr int count = 200'000;
    const test::TemporaryFolder folder;
    store::Writer writer = *store::Writer::create(folder / "t.db");
    std::atomic<int> reports = 0;
    auto session = Session::start_fifo(folder / "fifo", writer, [&](const Progress&) { ++reports; });
    ASSERT_TRUE(session) << session.error().message;

    struct stat status{};

    ASSERT_EQ(::stat((folder / "fifo").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);

    std::thread qemu([&] {
        const int fifo = ::open((folder / "fifo").c_str(), O_WRONLY);
        for (int i = 0; i < count; i += 100) {
            std::string text;
            for (int k = i; k < i + 100; ++k) {
                text += line(k);
            }
            write_all(fifo, text);
        }
        ::close(fifo);
    });
    qemu.join();
    const Result<Statistics> counts = (*session)->join(60s);
    ASSERT_TRUE(counts) << counts.error().message;
    EXPECT_EQ(counts->lines, static_cast<std::uint64_t>(count));
    EXPECT_EQ(counts->events, static_cast<std::uint64_t>(count));
    EXPECT_TRUE(counts->is_complete());
    EXPECT_GE(reports, 1);
    session->reset();
    EXPECT_FALSE(std::filesystem::exists(folder / "fifo"));
    ASSERT_TRUE(writer.finish());

    int expected = 0;
    for (const Event& event : events_of(folder / "t.db")) {
        ASSERT_EQ(event.args[1], static_cast<std::uint64_t>(expected++));
    }
    EXPECT_EQ(expected, count);
    store::Trace trace = *store::Trace::open(folder / "t.db");
    EXPECT_EQ(trace.meta("lines")->value_or(""), std::to_string(count));
    EXPECT_EQ(trace.meta("lost")->value_or(""), "0");
}

TEST(Session, follows_a_writer_that_closes_and_opens_again) {
    const test::TemporaryFolder folder;
    store::Writer writer = *store::Writer::create(folder / "t.db");
    auto session = *Session::start_fifo(folder / "fifo", writer);
    for (int i = 0; i < 3; ++i) {
        const int fifo = ::open((folder / "fifo").c_str(), O_WRONLY);
        write_all(fifo, line(i));
        ::close(fifo);
        std::this_thread::sleep_for(60ms);
    }
    EXPECT_EQ(session->join(10s)->events, 3U);
}

TEST(Session, puts_injected_lines_after_what_was_written_before_them) {
    const test::TemporaryFolder folder;
    store::Writer writer = *store::Writer::create(folder / "t.db");
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    auto session = *Session::start(pipe[0], writer);
    for (int i = 0; i < 50; ++i) {
        write_all(pipe[1], line(i));
        session->inject("paravane_fault_begin",
                        "disk 0 operation 1 offset 0 length " + std::to_string(i) + " detail " + quote("x"));
    }
    ::close(pipe[1]);
    const Statistics counts = *session->join(10s);
    EXPECT_EQ(counts.injected, 50U);
    EXPECT_EQ(counts.lines, 100U);
    ASSERT_TRUE(writer.finish());
    int written = 0;
    int injected = 0;
    for (const Event& event : events_of(folder / "t.db")) {
        if (event.kind == Kind::fault_begin) {
            EXPECT_EQ(event.args[3], static_cast<std::uint64_t>(injected++));
            EXPECT_GE(written, injected);  // its predecessors in the pipe are there already
        } else {
            ++written;
        }
    }
    EXPECT_EQ(written, 50);
    EXPECT_EQ(injected, 50);
}

TEST(Session, puts_what_comes_after_settle_behind_what_was_injected) {
    const test::TemporaryFolder folder;
    store::Writer writer = *store::Writer::create(folder / "t.db");
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    auto session = *Session::start(pipe[0], writer);
    constexpr int rounds = 300;
    for (int i = 0; i < rounds; ++i) {
        session->inject("paravane_fault_begin",
                        "disk 0 operation 1 offset 0 length " + std::to_string(i) + " detail " + quote("x"));
        ASSERT_TRUE(session->settle(10s));
        write_all(pipe[1], line(i));
    }
    ::close(pipe[1]);
    ASSERT_EQ(session->join(10s)->events, 2U * rounds);
    ASSERT_TRUE(writer.finish());
    const std::vector<Event> events = events_of(folder / "t.db");
    for (std::size_t i = 0; i < events.size(); ++i) {
        ASSERT_EQ(events[i].kind, i % 2 == 0 ? Kind::fault_begin : Kind::nvme_doorbell_sq) << i;
    }
}

TEST(Session, leaves_a_row_where_a_line_was_not_understood) {
    const test::TemporaryFolder folder;
    store::Writer writer = *store::Writer::create(folder / "t.db");
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    auto session = *Session::start(pipe[0], writer);
    write_all(pipe[1], line(1) + "812@17952\n" + line(2) + std::string(100'000, 'x') + "\n" + line(3) +
                           "812@1.1:torn");
    ::close(pipe[1]);
    const Statistics counts = *session->join(10s);
    EXPECT_EQ(counts.events, 3U);
    EXPECT_EQ(counts.not_understood, 3U);
    EXPECT_EQ(counts.lines, 6U);
    EXPECT_FALSE(counts.is_complete());
    ASSERT_TRUE(writer.finish());
    std::vector<Kind> kinds;
    for (const Event& event : events_of(folder / "t.db")) {
        kinds.push_back(event.kind);
    }
    EXPECT_EQ(kinds, (std::vector<Kind>{Kind::nvme_doorbell_sq, Kind::lost, Kind::nvme_doorbell_sq,
                                        Kind::lost, Kind::nvme_doorbell_sq, Kind::lost}));
}

TEST(Session, does_not_let_garbage_fill_the_trace) {
    const test::TemporaryFolder folder;
    store::Writer writer = *store::Writer::create(folder / "t.db");
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    auto session = *Session::start(pipe[0], writer);
    std::string garbage;
    for (int i = 0; i < 50'500; ++i) {
        garbage += "?\n";
    }
    write_all(pipe[1], garbage);
    ::close(pipe[1]);
    EXPECT_EQ(session->join(10s)->not_understood, 50'500U);
    ASSERT_TRUE(writer.finish());
    std::uint64_t lines = 0;
    const std::vector<Event> events = events_of(folder / "t.db");
    for (const Event& event : events) {
        lines += event.args[0];
    }
    EXPECT_EQ(lines, 50'500U);
    EXPECT_LT(events.size(), 1'100U);
}

TEST(Session, ends_in_time_though_a_writer_stays) {
    const test::TemporaryFolder folder;
    store::Writer writer = *store::Writer::create(folder / "t.db");
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    auto session = *Session::start(pipe[0], writer);
    write_all(pipe[1], line(1));
    const auto began = std::chrono::steady_clock::now();
    const Statistics counts = *session->join(200ms);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    EXPECT_EQ(counts.events, 1U);
    EXPECT_EQ(counts.lost, 1U);
    ::close(pipe[1]);
}

TEST(Session, ends_in_time_though_a_writer_never_stops) {
    const test::TemporaryFolder folder;
    store::Writer writer = *store::Writer::create(folder / "t.db");
    auto session = *Session::start_fifo(folder / "fifo", writer);
    std::atomic<bool> enough = false;
    std::thread chatty([&] {
        const int fifo = ::open((folder / "fifo").c_str(), O_WRONLY | O_NONBLOCK);
        const std::string text = line(1);
        while (!enough) {
            static_cast<void>(!::write(fifo, text.data(), text.size()));
        }
        ::close(fifo);
    });
    std::this_thread::sleep_for(50ms);
    const auto began = std::chrono::steady_clock::now();
    EXPECT_TRUE(session->join(100ms));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    enough = true;
    chatty.join();
}

}  // namespace
}  // namespace pv::capture
