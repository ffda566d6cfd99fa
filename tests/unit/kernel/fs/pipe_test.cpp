// Pipes and fifos: order, atomic writes, ends that go, waiting and not waiting, poll.
// SPDX-License-Identifier: MIT
#include "fs/pipe.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "fs/wait.hpp"
#include "task/park.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using namespace literals;
using test::error_of;
using test::Tree;

constexpr Duration patience = 60_s;

std::uint32_t ready(OpenFile& file) {
    PollEntry entry{.file = &file, .wanted = ~0U};
    (void)poll(std::span(&entry, 1), Deadline::after(Duration()));
    return entry.found;
}

TEST(Pipe, CarriesBytesInOrderThroughManyWraps) {
    const auto ends = create_pipe(0).value();
    std::thread writer([&, write = ends.write] {
        std::string text;
        for (int i = 0; i < 200'000; ++i) {
            text += static_cast<char>(i * 7 + i / 256);
        }
        std::size_t at = 0;
        for (std::size_t size = 1; at < text.size(); size = size * 3 % 9973 + 1) {
            const std::string_view part = std::string_view(text).substr(at, size);
            ASSERT_EQ(Tree::write(*write, part), part.size());
            at += part.size();
        }
    });
    std::string got;
    while (got.size() < 200'000) {
        got += Tree::read(*ends.read, 1 + got.size() % 5000).value();
    }
    writer.join();
    for (int i = 0; i < 200'000; ++i) {
        ASSERT_EQ(got[static_cast<std::size_t>(i)], static_cast<char>(i * 7 + i / 256)) << i;
    }
}

TEST(Pipe, EndsTellOfEachOther) {
    auto ends = create_pipe(open_flag::nonblock).value();
    EXPECT_EQ(error_of(Tree::read(*ends.read)), Errno::eagain);
    ASSERT_TRUE(Tree::write(*ends.write, "last"));
    ends.write = nullptr;
    EXPECT_EQ(ready(*ends.read), poll_event::readable | poll_event::hang_up);
    EXPECT_EQ(Tree::read(*ends.read), "last");
    EXPECT_EQ(Tree::read(*ends.read), "");
    ends = create_pipe(open_flag::nonblock).value();
    ends.read = nullptr;
    EXPECT_EQ(error_of(Tree::write(*ends.write, "x")), Errno::epipe);
    EXPECT_NE(ready(*ends.write) & poll_event::error, 0U);
    EXPECT_EQ(error_of(ends.write->seek(0, Whence::set)), Errno::espipe);
    EXPECT_EQ(error_of(Tree::read(*ends.write)), Errno::ebadf);
}

std::atomic<bool> signalled{false};

/// A pipe that waits where it must not ends its test, too: after the patience the wait is interrupted.
class LedgerPipe : public testing::Test {
  protected:
    LedgerPipe() {
        set_interruption_check([] { return signalled.load(); });
    }

    ~LedgerPipe() override {
        over_ = true;
        watch_.join();
        set_interruption_check(nullptr);
        signalled = false;
    }

    LedgerPipe(const LedgerPipe&) = delete;
    LedgerPipe& operator=(const LedgerPipe&) = delete;

  private:
    task::ControlBlock& test_ = task::current();
    std::atomic<bool> over_{false};
    std::thread watch_{[this] {
        const Deadline deadline = Deadline::after(patience);
        while (!over_) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            if (deadline.expired()) {
                signalled = true;
                task::unpark(test_);
            }
        }
    }};
};

TEST_F(LedgerPipe, IsBoundedAndDoesNotTearSmallWrites) {
    const auto ends = create_pipe(open_flag::nonblock).value();
    const std::string block(pipe_atomic_max, 'a');
    std::size_t total = 0;
    while (total <= Pipe::capacity_default) {
        const auto written = Tree::write(*ends.write, block);
        if (!written) {
            EXPECT_EQ(written.error(), Errno::eagain);
            break;
        }
        ASSERT_EQ(*written, block.size());
        total += *written;
    }
    EXPECT_EQ(total, Pipe::capacity_default);
    EXPECT_EQ(ready(*ends.write), 0U);
    // Room, but not for all of it: nothing is written. A larger write takes what there is.
    ASSERT_EQ(Tree::read(*ends.read, 1000)->size(), 1000U);
    EXPECT_EQ(error_of(Tree::write(*ends.write, block)), Errno::eagain);
    EXPECT_EQ(Tree::write(*ends.write, std::string(pipe_atomic_max + 1, 'b')), 1000U);
    std::size_t got = 0;
    while (const auto text = Tree::read(*ends.read)) {
        got += text->size();
    }
    EXPECT_EQ(got, Pipe::capacity_default);
}

TEST_F(LedgerPipe, WritersDoNotMixWhatFitsInOneWrite) {
    auto ends = create_pipe(0).value();
    std::vector<std::thread> writers;
    constexpr int each = 300;
    for (char name = 'a'; name < 'e'; ++name) {
        writers.emplace_back([name, write = ends.write] {
            const std::string block(3000, name);
            for (int i = 0; i < each; ++i) {
                ASSERT_EQ(Tree::write(*write, block), block.size());
            }
        });
    }
    ends.write = nullptr;
    std::string all;
    while (true) {
        const std::string part = Tree::read(*ends.read).value();
        if (part.empty()) {
            break;
        }
        all += part;
    }
    for (std::thread& writer : writers) {
        writer.join();
    }
    ASSERT_EQ(all.size(), 4U * each * 3000);
    for (std::size_t at = 0; at < all.size(); at += 3000) {
        ASSERT_EQ(all.substr(at, 3000), std::string(3000, all[at]));
    }
}

TEST(Pipe, ASignalEndsAWait) {
    const auto ends = create_pipe(0).value();
    set_interruption_check([] { return signalled.load(); });
    std::atomic<task::ControlBlock*> thread{nullptr};
    std::optional<Errno> error;
    std::atomic<bool> done{false};
    std::thread reader([&] {
        thread = &task::current();
        error = error_of(Tree::read(*ends.read));
        done = true;
        while (thread != nullptr) {  // its block stays while somebody unparks it
            std::this_thread::yield();
        }
    });
    while (thread == nullptr) {
        std::this_thread::yield();
    }
    EXPECT_FALSE(done);
    signalled = true;
    task::unpark(*thread);
    while (!done) {
        std::this_thread::yield();
    }
    thread = nullptr;
    reader.join();
    set_interruption_check(nullptr);
    signalled = false;
    EXPECT_EQ(error, Errno::eintr);
}

TEST(Pipe, CapacityChangesAndKeepsWhatIsInIt) {
    const auto ends = create_pipe(open_flag::nonblock).value();
    Pipe& pipe = *pipe_of(*ends.read);
    ASSERT_TRUE(Tree::write(*ends.write, std::string(60'000, 'a')));
    ASSERT_EQ(Tree::read(*ends.read, 50'000)->size(), 50'000U);
    ASSERT_TRUE(Tree::write(*ends.write, std::string(10'000, 'b')));
    EXPECT_EQ(error_of(pipe.set_capacity(4096)), Errno::ebusy);
    EXPECT_EQ(error_of(pipe.set_capacity((std::size_t{1} << 31) + 1)), Errno::einval);
    EXPECT_EQ(error_of(pipe.set_capacity(Pipe::capacity_max + 1)), Errno::eperm);
    ASSERT_EQ(pipe.set_capacity(1'000'000), Pipe::capacity_max);
    ASSERT_TRUE(Tree::write(*ends.write, std::string(100'000, 'c')));
    ASSERT_EQ(pipe.set_capacity(131'072), 131'072U);
    std::string all;
    while (const auto text = Tree::read(*ends.read, 7'777)) {
        all += *text;
    }
    EXPECT_EQ(all, std::string(10'000, 'a') + std::string(10'000, 'b') + std::string(100'000, 'c'));
}

TEST(Poll, WaitsForWhatComesLater) {
    const auto ends = create_pipe(0).value();
    PollEntry entry{.file = ends.read.get(), .wanted = poll_event::in};
    EXPECT_EQ(poll(std::span(&entry, 1), Deadline::after(1_ms)), 0U);
    std::thread writer([write = ends.write] { ASSERT_TRUE(Tree::write(*write, "x")); });
    EXPECT_EQ(poll(std::span(&entry, 1), Deadline::after(patience)), 1U);
    EXPECT_EQ(entry.found, poll_event::in);
    writer.join();
    std::array<PollEntry, 2> two{PollEntry{.is_open = false}, PollEntry{}};
    EXPECT_EQ(poll(two, Deadline::after(patience)), 1U);
    EXPECT_EQ(two[0].found, poll_event::invalid);
}

TEST(LedgerPoll, LosesNoWakeUp) {
    const auto ends = create_pipe(0).value();
    const auto back = create_pipe(0).value();
    constexpr int rounds = 2'000;
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            ASSERT_EQ(Tree::read(*ends.read, 1), "x");
            ASSERT_TRUE(Tree::write(*back.write, "y"));
        }
    });
    for (int i = 0; i < rounds; ++i) {
        ASSERT_TRUE(Tree::write(*ends.write, "x"));
        PollEntry entry{.file = back.read.get(), .wanted = poll_event::in};
        const Deadline deadline = Deadline::after(patience);
        ASSERT_EQ(poll(std::span(&entry, 1), deadline), 1U) << i;
        ASSERT_FALSE(deadline.expired()) << i;  // found by looking again at the end: nobody told
        ASSERT_EQ(Tree::read(*back.read, 1), "y");
    }
    other.join();
}

TEST(Fifo, OpensMeetEachOther) {
    Tree tree;
    ASSERT_TRUE(make_node(tree.caller(), "/f", NodeType::fifo, 0600, {}));
    EXPECT_EQ(error_of(open(tree.caller(), "/f", open_flag::write_only | open_flag::nonblock, 0)),
              Errno::enxio);
    std::thread writer([&] {
        const auto file = open(tree.caller(), "/f", open_flag::write_only, 0).value();
        ASSERT_TRUE(Tree::write(*file, "through"));
    });
    const auto file = open(tree.caller(), "/f", open_flag::read_only, 0).value();
    EXPECT_EQ(Tree::read(*file), "through");
    writer.join();
    EXPECT_EQ(Tree::read(*file), "");
    EXPECT_TRUE(open(tree.caller(), "/f", open_flag::write_only | open_flag::nonblock, 0));
}

}  // namespace
}  // namespace pv::fs
