// inotify: bounded queues, watches that end, many threads. What is told of which call, linux.calls compares.
// SPDX-License-Identifier: MIT
#include "fs/notify.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "tree.hpp"

namespace pv::fs {
namespace {

using test::error_of;
using test::Tree;

struct Event {
    std::int32_t number;
    std::uint32_t mask, cookie, length;
};

std::vector<Event> read_all(NotifyFile& file) {
    std::vector<Event> events;
    for (auto text = Tree::read(file); text; text = Tree::read(file)) {
        for (std::size_t at = 0; at < text->size();) {
            Event event{};
            std::memcpy(&event, text->data() + at, sizeof event);
            events.push_back(event);
            at += sizeof event + event.length;
        }
    }
    return events;
}

class NotifyTest : public testing::Test {
  protected:
    int watch(std::string_view path, std::uint32_t mask) {
        return file_->watch(tree_.find(path).value().node, mask).value();
    }

    Tree tree_;
    Ref<NotifyFile> file_ = NotifyFile::create(open_flag::nonblock).value();
};

TEST_F(NotifyTest, LedgerAFullQueueSaysThatSomeAreMissingAndGoesOn) {
    watch("/", notify_event::create | notify_event::remove);
    for (std::size_t i = 0; i < NotifyFile::events_max; ++i) {
        ASSERT_TRUE(tree_.put("/file", ""));
        ASSERT_TRUE(remove(tree_.caller(), "/file", false));
    }
    const std::vector<Event> events = read_all(*file_);
    ASSERT_EQ(events.size(), NotifyFile::events_max + 1);
    EXPECT_EQ(events.back().mask, notify_event::overflow);
    EXPECT_EQ(events.back().number, -1);
    ASSERT_TRUE(tree_.put("/file", ""));
    EXPECT_EQ(read_all(*file_).size(), 1U);
}

TEST_F(NotifyTest, AWatchEndsWithItsNodeAndKeepsNothing) {
    ASSERT_TRUE(tree_.put("/file", ""));
    const std::uint64_t before = OpenFile::count();
    EXPECT_EQ(watch("/file", notify_event::all), 1);
    EXPECT_EQ(watch("/file", notify_event::modify), 1);
    ASSERT_TRUE(remove(tree_.caller(), "/file", false));
    const std::vector<Event> events = read_all(*file_);
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events.back().mask, notify_event::ignored);
    EXPECT_EQ(error_of(file_->unwatch(1)), Errno::einval);
    EXPECT_EQ(OpenFile::count(), before);
}

TEST_F(NotifyTest, AnInstanceMayEndWhileOthersTellIt) {
    ASSERT_TRUE(tree_.put("/file", ""));
    std::atomic<bool> over{false};
    std::thread writer([&] {
        while (!over) {
            ASSERT_TRUE(tree_.put("/file", "x"));
        }
    });
    for (int i = 0; i < 2000; ++i) {
        const auto other = NotifyFile::create(open_flag::nonblock).value();
        ASSERT_TRUE(other->watch(tree_.find("/file").value().node, notify_event::all));
        read_all(*other);
    }
    over = true;
    writer.join();
}

}  // namespace
}  // namespace pv::fs
