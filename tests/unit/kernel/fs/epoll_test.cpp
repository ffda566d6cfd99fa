// epoll: level and edge, one shot, files that go, waits; and eventfd.
// SPDX-License-Identifier: MIT
#include "fs/epoll.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "fs/event_file.hpp"
#include "fs/pipe.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using namespace literals;
using test::error_of;
using test::Tree;

class EpollTest : public testing::Test {
  protected:
    std::vector<std::uint64_t> ready() {
        std::array<EpollEvent, 16> room;
        std::uint64_t round = 0;
        const std::size_t count = epoll_->wait_for(room, Deadline::after(Duration()), round).value();
        std::vector<std::uint64_t> found;
        for (const EpollEvent& event : std::span(room).first(count)) {
            found.push_back(event.data);
        }
        return found;
    }

    Ref<Epoll> epoll_ = Epoll::create().value();
    PipeEnds pipe_ = create_pipe(open_flag::nonblock).value();
};

using Data = std::vector<std::uint64_t>;

TEST_F(EpollTest, LevelTellsUntilItIsOver) {
    ASSERT_TRUE(epoll_->add(*pipe_.read, 3, {poll_event::in, 7}));
    EXPECT_EQ(ready(), Data{});
    ASSERT_TRUE(Tree::write(*pipe_.write, "x"));
    EXPECT_EQ(ready(), Data{7});
    EXPECT_EQ(ready(), Data{7});
    ASSERT_TRUE(Tree::read(*pipe_.read));
    EXPECT_EQ(ready(), Data{});
}

TEST_F(EpollTest, EdgeTellsOnceAChange) {
    ASSERT_TRUE(Tree::write(*pipe_.write, "x"));
    ASSERT_TRUE(epoll_->add(*pipe_.read, 3, {poll_event::in | epoll_flag::edge, 7}));
    EXPECT_EQ(ready(), Data{7});
    EXPECT_EQ(ready(), Data{});
    ASSERT_TRUE(Tree::write(*pipe_.write, "x"));
    EXPECT_EQ(ready(), Data{7});
    EXPECT_EQ(ready(), Data{});
}

TEST_F(EpollTest, OneShotTellsUntilItIsArmedAgain) {
    ASSERT_TRUE(epoll_->add(*pipe_.read, 3, {poll_event::in | epoll_flag::one_shot, 7}));
    ASSERT_TRUE(Tree::write(*pipe_.write, "x"));
    EXPECT_EQ(ready(), Data{7});
    ASSERT_TRUE(Tree::write(*pipe_.write, "x"));
    EXPECT_EQ(ready(), Data{});
    ASSERT_TRUE(epoll_->modify(*pipe_.read, 3, {poll_event::in | epoll_flag::one_shot, 8}));
    EXPECT_EQ(ready(), Data{8});
}

TEST_F(EpollTest, RefusesWhatCannotBe) {
    Tree tree;
    ASSERT_TRUE(tree.put("/a", ""));
    const auto file = open(tree.caller(), "/a", open_flag::read_only, 0).value();
    EXPECT_EQ(error_of(epoll_->add(*file, 1, {poll_event::in, 0})), Errno::eperm);
    EXPECT_EQ(error_of(epoll_->add(*epoll_, 1, {poll_event::in, 0})), Errno::einval);
    ASSERT_TRUE(epoll_->add(*pipe_.read, 3, {poll_event::in, 0}));
    EXPECT_EQ(error_of(epoll_->add(*pipe_.read, 3, {poll_event::in, 0})), Errno::eexist);
    EXPECT_TRUE(epoll_->add(*pipe_.read, 4, {poll_event::in, 0}));
    ASSERT_TRUE(epoll_->remove(*pipe_.read, 3));
    EXPECT_EQ(error_of(epoll_->remove(*pipe_.read, 3)), Errno::enoent);
    EXPECT_EQ(error_of(epoll_->modify(*pipe_.read, 3, {})), Errno::enoent);
}

TEST_F(EpollTest, FilesThatGoLeaveByThemselves) {
    ASSERT_TRUE(epoll_->add(*pipe_.read, 3, {poll_event::in, 7}));
    ASSERT_TRUE(epoll_->add(*pipe_.write, 4, {poll_event::out, 8}));
    EXPECT_EQ(ready(), Data{8});
    pipe_.write = nullptr;
    EXPECT_EQ(ready(), Data{7});  // hung up
    pipe_.read = nullptr;
    EXPECT_EQ(ready(), Data{});
}

TEST_F(EpollTest, ManyThreadsChangeItAtOnce) {
    std::vector<std::thread> threads;
    std::atomic<bool> stop{false};
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 3'000; ++i) {
                const auto ends = create_pipe(open_flag::nonblock).value();
                ASSERT_TRUE(epoll_->add(*ends.read, t, {poll_event::in, 1}));
                ASSERT_TRUE(Tree::write(*ends.write, "x"));
                if (i % 2 == 0) {
                    ASSERT_TRUE(epoll_->remove(*ends.read, t));
                }
            }
        });
    }
    std::thread waiter([&] {
        std::array<EpollEvent, 4> room;
        std::uint64_t round = 0;
        while (!stop) {
            ASSERT_TRUE(epoll_->wait_for(room, Deadline::after(1_ms), round));
            ASSERT_LE(epoll_->take_more(room, round), room.size());
        }
    });
    for (std::thread& thread : threads) {
        thread.join();
    }
    stop = true;
    waiter.join();
    EXPECT_EQ(ready(), Data{});
}

TEST_F(EpollTest, CanBePolledItself) {
    ASSERT_TRUE(epoll_->add(*pipe_.read, 3, {poll_event::in, 7}));
    std::thread writer([&] { ASSERT_TRUE(Tree::write(*pipe_.write, "x")); });
    PollEntry entry{.file = epoll_.get(), .wanted = poll_event::in};
    EXPECT_EQ(poll(std::span(&entry, 1), Deadline::after(60_s)), 1U);
    writer.join();
}

TEST(LedgerEpoll, LosesNoWakeUp) {
    const auto epoll = Epoll::create().value();
    const auto there = create_event_file(0, false, 0).value();
    const auto back = create_event_file(0, false, 0).value();
    ASSERT_TRUE(epoll->add(*back, 3, {poll_event::in | epoll_flag::edge, 7}));
    constexpr int rounds = 200;
    constexpr std::uint64_t one = 1;
    const auto add_one = [&](OpenFile& file) {
        SpanSource source(bytes_of(one));
        return file.write(source).has_value();
    };
    const auto take = [](OpenFile& file) {
        std::uint64_t value = 0;
        SpanTarget target(writable_bytes_of(value));
        return file.read(target) ? value : 0;
    };
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            ASSERT_EQ(take(*there), 1U);
            ASSERT_TRUE(add_one(*back));
        }
    });
    for (int i = 0; i < rounds; ++i) {
        ASSERT_TRUE(add_one(*there));
        std::array<EpollEvent, 2> room;
        const Deadline deadline = Deadline::after(60_s);
        std::uint64_t round = 0;
        ASSERT_EQ(epoll->wait_for(room, deadline, round), 1U) << i;
        ASSERT_FALSE(deadline.expired()) << i;  // found by looking again at the end: nobody told
        ASSERT_EQ(take(*back), 1U);
    }
    other.join();
}

TEST(EventFile, CountsAndRefuses) {
    const auto file = create_event_file(3, false, open_flag::nonblock).value();
    std::uint64_t value = 0;
    const auto read = [&] {
        SpanTarget target(writable_bytes_of(value));
        return error_of(file->read(target));
    };
    const auto write = [&](std::uint64_t more) {
        SpanSource source(bytes_of(more));
        return error_of(file->write(source));
    };
    EXPECT_EQ(read(), std::nullopt);
    EXPECT_EQ(value, 3U);
    EXPECT_EQ(read(), Errno::eagain);
    EXPECT_EQ(write(~std::uint64_t{0}), Errno::einval);
    EXPECT_EQ(write(~std::uint64_t{0} - 1), std::nullopt);
    EXPECT_EQ(write(1), Errno::eagain);
    EXPECT_EQ(error_of(Tree::write(*file, "short")), Errno::einval);
    const auto semaphore = create_event_file(2, true, open_flag::nonblock).value();
    SpanTarget target(writable_bytes_of(value));
    EXPECT_TRUE(semaphore->read(target));
    EXPECT_EQ(value, 1U);
}

}  // namespace
}  // namespace pv::fs
