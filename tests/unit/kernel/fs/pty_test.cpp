// Pseudo-terminals: both sides, names, locks, hanging up.
// SPDX-License-Identifier: MIT
#include "fs/pty.hpp"

#include <asm/ioctls.h>
#include <gmock/gmock.h>

#include <thread>

#include "fs/devices.hpp"
#include "fs/signals.hpp"
#include "ioctl_argument.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using test::Argument;
using test::error_of;
using test::Tree;
using testing::ElementsAre;
using testing::Pair;

/// The running process leads session 1.
class Leader final : public JobControl {
  public:
    int session() override { return 1; }

    int group() override { return 1; }

    bool leads_session() override { return true; }

    int session_of_group(int group) override { return group; }

    void signal_group(int group, int number) override { to_groups.emplace_back(group, number); }

    void signal_leader(int session, int number) override { to_leaders.emplace_back(session, number); }

    Outcome<> stop_background(int) override { return {}; }

    std::vector<std::pair<int, int>> to_groups;
    std::vector<std::pair<int, int>> to_leaders;
};

/// One devpts for all tests: it is mounted once.
Tree& tree() {
    static Tree* const made = [] {
        auto* fresh = new Tree;
        EXPECT_TRUE(fresh->make_directory("/pts"));
        EXPECT_TRUE(mount_devpts(fresh->find("/pts").value()));
        return fresh;
    }();
    return *made;
}

class PtyTest : public testing::Test {
  protected:
    PtyTest() {
        (void)tree();
        set_job_control(leader_);
        master_ = open_pty_master({}, open_flag::read_write | open_flag::nonblock).value();
    }

    static int number_of(OpenFile& master) {
        int number = -1;
        Argument argument(writable_bytes_of(number));
        EXPECT_TRUE(master.ioctl(TIOCGPTN, argument));
        return number;
    }

    static void unlock(OpenFile& master) {
        int locked = 0;
        Argument argument(writable_bytes_of(locked));
        EXPECT_TRUE(master.ioctl(TIOCSPTLCK, argument));
    }

    static std::string path_of(OpenFile& master) { return "/pts/" + std::to_string(number_of(master)); }

    static Outcome<Ref<OpenFile>> open_slave(OpenFile& master, std::uint32_t flags = 0) {
        return open(tree().caller(), path_of(master),
                    open_flag::read_write | open_flag::nonblock | open_flag::no_controlling_terminal | flags,
                    0);
    }

    Leader leader_;
    Ref<OpenFile> master_;
};

TEST_F(PtyTest, IsLockedAtFirst) {
    EXPECT_EQ(error_of(open_slave(*master_)), Errno::eio);
    unlock(*master_);
    EXPECT_TRUE(open_slave(*master_));
}

TEST_F(PtyTest, TakesTheLowestFreeNumberAndListsIt) {
    const auto second = open_pty_master({}, open_flag::read_write).value();
    const int first_number = number_of(*master_);
    EXPECT_EQ(number_of(*second), first_number + 1);
    EXPECT_THAT(tree().names("/pts").value(),
                ElementsAre(".", "..", std::to_string(first_number), std::to_string(first_number + 1)));
    const std::string path = path_of(*master_);
    master_ = nullptr;
    EXPECT_EQ(error_of(tree().find(path)), Errno::enoent);
    master_ = open_pty_master({}, open_flag::read_write).value();
    EXPECT_EQ(number_of(*master_), first_number);
}

TEST_F(PtyTest, WhatIsTypedIsReadAndEchoed) {
    unlock(*master_);
    const auto slave = open_slave(*master_).value();
    EXPECT_EQ(Tree::write(*master_, "ab\n").value(), 3U);
    EXPECT_EQ(Tree::read(*slave).value(), "ab\n");
    EXPECT_EQ(Tree::read(*master_).value(), "ab\r\n");
    EXPECT_EQ(error_of(Tree::read(*master_)), Errno::eagain);
    EXPECT_EQ(Tree::write(*slave, "x\n").value(), 2U);
    EXPECT_EQ(Tree::read(*master_).value(), "x\r\n");
}

TEST_F(PtyTest, TheMasterEndsWithTheLastSlave) {
    unlock(*master_);
    EXPECT_EQ(error_of(Tree::read(*master_)), Errno::eagain);  // nobody came yet
    auto slave = open_slave(*master_).value();
    EXPECT_EQ(Tree::write(*slave, "last").value(), 4U);
    slave = nullptr;
    EXPECT_NE(master_->poll(nullptr) & poll_event::hang_up, 0U);
    EXPECT_EQ(Tree::read(*master_).value(), "last");
    EXPECT_EQ(error_of(Tree::read(*master_)), Errno::eio);
    slave = open_slave(*master_).value();
    EXPECT_EQ(error_of(Tree::read(*master_)), Errno::eagain);
}

TEST_F(PtyTest, TheSlaveIsHungUpWithTheMaster) {
    unlock(*master_);
    const auto slave =
        open(tree().caller(), path_of(*master_), open_flag::read_write | open_flag::nonblock, 0).value();
    master_ = nullptr;
    EXPECT_EQ(Tree::read(*slave).value(), "");
    EXPECT_EQ(error_of(Tree::write(*slave, "x")), Errno::eio);
    int value = 0;
    Argument argument(writable_bytes_of(value));
    EXPECT_EQ(error_of(slave->ioctl(TIOCGWINSZ, argument)), Errno::eio);
    EXPECT_THAT(leader_.to_leaders, ElementsAre(Pair(1, signals::hang_up), Pair(1, signals::go_on)));
    EXPECT_THAT(leader_.to_groups, ElementsAre(Pair(1, signals::hang_up), Pair(1, signals::go_on)));
    EXPECT_FALSE(controlling_terminal());
}

TEST_F(PtyTest, AWriterWaitsForRoomAndLosesNothing) {
    unlock(*master_);
    const auto slave = open_slave(*master_).value();
    // Lines that nobody reads: what is accepted is all that a reader finds.
    const std::string line = "0123456789\n";
    std::size_t written = 0;
    while (true) {
        const auto count = Tree::write(*master_, line);
        if (!count) {
            EXPECT_EQ(count.error(), Errno::eagain);
            break;
        }
        written += *count;
        ASSERT_LT(written, 100'000U);
    }
    EXPECT_GT(written, 3000U);
    const auto read_all = [&] {
        std::size_t read = 0;
        for (auto text = Tree::read(*slave); text; text = Tree::read(*slave)) {
            read += text->size();
        }
        return read;
    };
    // Whole lines are read; the one that was begun goes on.
    const std::size_t begun = written % line.size();
    EXPECT_EQ(read_all(), written - begun);
    EXPECT_TRUE(Tree::write(*master_, line.substr(begun)));
    EXPECT_EQ(read_all(), line.size());
}

TEST_F(PtyTest, ManyBytesCrossBothWays) {
    const auto master = open_pty_master({}, open_flag::read_write).value();
    unlock(*master);
    const auto slave =
        open(tree().caller(), path_of(*master), open_flag::read_write | open_flag::no_controlling_terminal, 0)
            .value();
    constexpr std::size_t total = 200'000;
    std::thread typist([&] {
        for (std::size_t done = 0; done < total; done += 100) {
            ASSERT_EQ(Tree::write(*master, std::string(99, 'x') + "\n").value(), 100U);
        }
    });
    std::thread reader([&] {
        for (std::size_t done = 0; done < total;) {
            done += Tree::read(*slave).value().size();
        }
    });
    // The echo; what the master has no room for is lost.
    std::thread drain([&] {
        for (auto text = Tree::read(*master); text; text = Tree::read(*master)) {
        }
    });
    typist.join();
    reader.join();
    master->set_flags(open_flag::nonblock, open_flag::nonblock);
    EXPECT_TRUE(Tree::write(*slave, "x"));
    drain.join();
}

TEST_F(PtyTest, PeersAreOfMastersOnly) {
    EXPECT_EQ(error_of(open_pty_peer(*master_, open_flag::read_write)), Errno::eio);
    unlock(*master_);
    const auto peer =
        open_pty_peer(*master_, open_flag::read_write | open_flag::no_controlling_terminal).value();
    EXPECT_EQ(error_of(open_pty_peer(*peer, open_flag::read_write)), Errno::enotty);
    std::array<char, 256> room;
    EXPECT_EQ(fs::path_of(peer->location(), tree().root, room).value(), path_of(*master_));
}

}  // namespace
}  // namespace pv::fs
