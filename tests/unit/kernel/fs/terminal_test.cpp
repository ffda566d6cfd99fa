// Terminals: lines, keys, signals, what is shown, settings, sessions; and the devices beside them.
// SPDX-License-Identifier: MIT
#include "fs/terminal.hpp"

#include <asm/ioctls.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "fs/dev.hpp"
#include "fs/signals.hpp"
#include "ioctl_argument.hpp"
#include "random/pool.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using test::Argument;
using test::error_of;
using test::Tree;

class Paper final : public Screen {
  public:
    std::size_t write(std::span<const char> more) override {
        const std::size_t count = std::min(more.size(), room);
        text.append(more.data(), count);
        room -= count;
        return count;
    }

    std::string text;
    std::size_t room = 1'000'000;
};

class Jobs final : public JobControl {
  public:
    int session() override { return own_session; }

    int group() override { return own_group; }

    bool leads_session() override { return own_session == own_group; }

    int session_of_group(int group) override { return group < 100 ? 1 : group < 200 ? 2 : 0; }

    void signal_group(int group, int number) override { sent.emplace_back(group, number); }

    void signal_leader(int session, int number) override { sent.emplace_back(session, number); }

    Outcome<> stop_background(int number) override {
        sent.emplace_back(own_group, number);
        return fail(Errno::eintr);
    }

    int own_session = 1;
    int own_group = 1;
    std::vector<std::pair<int, int>> sent;
};

using Sent = std::vector<std::pair<int, int>>;

class TerminalTest : public testing::Test {
  protected:
    TerminalTest() { set_job_control(jobs_); }

    void type(std::string_view text) { terminal_->type(text); }

    Outcome<std::string> read(std::size_t count = 100) {
        std::string text(count, '\0');
        SpanTarget target(std::as_writable_bytes(std::span(text)));
        text.resize(PV_TRY(terminal_->read(target, true)));
        return text;
    }

    Outcome<std::size_t> write(std::string_view text) {
        SpanSource source(std::as_bytes(std::span(text)));
        return terminal_->write(source, true);
    }

    template <class T>
    Outcome<std::uint64_t> ioctl(std::uint32_t request, T& value) {
        Argument argument{writable_bytes_of(value)};
        return terminal_->ioctl(request, argument);
    }

    struct termios settings() {
        struct termios set{};
        EXPECT_TRUE(ioctl(TCGETS, set));
        return set;
    }

    void raw(cc_t least, cc_t tenths = 0) {
        struct termios set = settings();
        set.c_lflag &= ~tcflag_t{ICANON | ECHO | ISIG};
        set.c_cc[VMIN] = least;
        set.c_cc[VTIME] = tenths;
        EXPECT_TRUE(ioctl(TCSETS, set));
    }

    Jobs jobs_;
    Paper paper_;
    Ref<Terminal> terminal_ = Ref<Terminal>::adopt(new Terminal(paper_, {4, 64}));
};

TEST_F(TerminalTest, GivesWholeLines) {
    type("echo hello");
    EXPECT_EQ(error_of(read()), Errno::eagain);
    type("\rls\r");
    EXPECT_EQ(paper_.text, "echo hello\r\nls\r\n");
    EXPECT_EQ(read(), "echo hello\n");
    EXPECT_EQ(read(2), "ls");
    EXPECT_EQ(read(), "\n");
    EXPECT_EQ(error_of(read()), Errno::eagain);
}

TEST_F(TerminalTest, EditsTheLine) {
    type("abc\x7fX one two\x17\x17three\r");
    EXPECT_EQ(read(), "abX three\n");
    type("forget\x15kept\r");
    EXPECT_EQ(read(), "kept\n");
    type("a\xc3\xa4\x7f\x7f\x7f\x7f.\r");
    EXPECT_EQ(read(), ".\n");
    paper_.text.clear();
    type("x\x7f\x7f");
    EXPECT_EQ(paper_.text, "x\b \b");
    type("\x16\x03\r");
    EXPECT_EQ(read(), "\x03\n");
}

TEST_F(TerminalTest, EndOfFileEndsALineOrAFile) {
    type("\x04");
    EXPECT_EQ(read(), "");
    EXPECT_EQ(error_of(read()), Errno::eagain);
    type("half\x04");
    EXPECT_EQ(read(), "half");
    EXPECT_EQ(error_of(read()), Errno::eagain);
    type("1234\x04");
    EXPECT_EQ(read(4), "1234");
    EXPECT_EQ(error_of(read()), Errno::eagain);
}

TEST_F(TerminalTest, KeysAreSignalsOfTheForeground) {
    terminal_->adopt_session();
    type("typed\x03");
    EXPECT_EQ(jobs_.sent, (Sent{{1, signals::interrupt}}));
    EXPECT_EQ(paper_.text, "typed^C");
    std::int32_t group = 5;
    ASSERT_TRUE(ioctl(TIOCSPGRP, group));
    jobs_.sent.clear();
    type("\x1a\x1c");
    EXPECT_EQ(jobs_.sent, (Sent{{5, signals::keyboard_stop}, {5, signals::quit}}));
    type("\r");
    jobs_.own_group = 5;
    EXPECT_EQ(read(), "\n");  // what was typed before is forgotten
}

TEST_F(TerminalTest, RawGivesEachByteAsItComes) {
    raw(1);
    type("a\x03\r");
    EXPECT_EQ(read(), "a\x03\n");
    EXPECT_EQ(paper_.text, "");
    raw(3);
    type("12");
    EXPECT_EQ(error_of(read()), Errno::eagain);
    type("3");
    EXPECT_EQ(read(), "123");
    raw(0);
    EXPECT_EQ(read(), "");
    type("tail");
    struct termios set = settings();
    set.c_lflag |= ICANON;
    ASSERT_TRUE(ioctl(TCSETS, set));
    EXPECT_EQ(read(), "tail");
    type("gone");
    ASSERT_TRUE(ioctl(TCSETSF, set));
    type("\r");
    EXPECT_EQ(read(), "\n");
}

TEST_F(TerminalTest, ShowsWhatProgramsWrite) {
    EXPECT_EQ(write("one\ntwo\n"), 8U);
    EXPECT_EQ(paper_.text, "one\r\ntwo\r\n");
    struct termios set = settings();
    set.c_oflag = 0;
    ASSERT_TRUE(ioctl(TCSETS, set));
    paper_.text.clear();
    EXPECT_EQ(write("x\ny\n"), 4U);
    EXPECT_EQ(paper_.text, "x\ny\n");
    paper_.room = 0;
    EXPECT_EQ(error_of(write("z")), Errno::eagain);
    type("\x13");
    paper_.room = 100;
    EXPECT_EQ(error_of(write("z")), Errno::eagain);
    type("\x11");
    EXPECT_EQ(write("z"), 1U);
}

TEST_F(TerminalTest, WriterWaitsForRoom) {
    paper_.room = 0;
    std::thread writer([&] {
        SpanSource source(std::as_bytes(std::span("later", 5)));
        ASSERT_EQ(terminal_->write(source, false), 5U);
    });
    paper_.room = 100;
    std::atomic<bool> done{false};
    std::thread screen([&] {
        while (!done) {
            terminal_->room_again();
            std::this_thread::yield();
        }
    });
    writer.join();
    done = true;
    screen.join();
    EXPECT_EQ(paper_.text, "later");
}

TEST_F(TerminalTest, BackgroundIsStopped) {
    terminal_->adopt_session();
    jobs_.own_group = 7;
    EXPECT_EQ(error_of(read()), Errno::eintr);
    EXPECT_EQ(jobs_.sent, (Sent{{7, signals::background_read}}));
    EXPECT_EQ(write("x"), 1U);
    struct termios set = settings();
    EXPECT_EQ(error_of(ioctl(TCSETS, set)), Errno::eintr);
    jobs_.own_group = 1;
    std::int32_t group = 150;
    EXPECT_EQ(error_of(ioctl(TIOCSPGRP, group)), Errno::eperm);
    group = 250;
    EXPECT_EQ(error_of(ioctl(TIOCSPGRP, group)), Errno::esrch);
    jobs_.own_session = 2;
    EXPECT_EQ(error_of(ioctl(TIOCGPGRP, group)), Errno::enotty);
}

TEST_F(TerminalTest, WindowSizeChangesAreTold) {
    terminal_->adopt_session();
    std::array<std::uint16_t, 4> size{50, 132, 0, 0};
    ASSERT_TRUE(ioctl(TIOCSWINSZ, size));
    EXPECT_EQ(jobs_.sent, (Sent{{1, signals::window_change}}));
    ASSERT_TRUE(ioctl(TIOCSWINSZ, size));
    EXPECT_EQ(jobs_.sent.size(), 1U);
    size = {};
    ASSERT_TRUE(ioctl(TIOCGWINSZ, size));
    EXPECT_EQ(size[1], 132);
    Argument bad{std::span<std::byte>()};
    EXPECT_EQ(error_of(terminal_->ioctl(TIOCGWINSZ, bad)), Errno::efault);
    EXPECT_EQ(error_of(terminal_->ioctl(0x1234, bad)), Errno::enotty);
}

TEST_F(TerminalTest, HangUpEndsEverything) {
    terminal_->adopt_session();
    terminal_->hang_up();
    // The leader, then the foreground.
    const Sent twice{{1, signals::hang_up}, {1, signals::go_on}, {1, signals::hang_up}, {1, signals::go_on}};
    EXPECT_EQ(jobs_.sent, twice);
    EXPECT_EQ(read(), "");
    EXPECT_EQ(error_of(write("x")), Errno::eio);
    EXPECT_NE(terminal_->readiness() & poll_event::hang_up, 0U);
}

// Keys without end, of all kinds, under settings of all kinds: what a program gets is bounded, and it never
// waits for a line that is there.
TEST_F(TerminalTest, TakesAnyKeys) {
    std::mt19937 random(9);
    for (int step = 0; step < 1'000; ++step) {
        std::string text(random() % 300, '\0');
        for (char& c : text) {
            c = static_cast<char>(random() % 3 == 0 ? random() % 32 : random());
        }
        type(text);
        if (random() % 4 == 0) {
            struct termios set = settings();
            set.c_lflag = static_cast<tcflag_t>(random());
            set.c_iflag = static_cast<tcflag_t>(random());
            set.c_oflag = static_cast<tcflag_t>(random());
            set.c_cc[VMIN] = static_cast<cc_t>(random() % 5);
            set.c_lflag &= ~tcflag_t{TOSTOP};
            ASSERT_TRUE(ioctl(TCSETS, set));
        }
        const bool readable = (terminal_->readiness() & poll_event::in) != 0;
        const auto got = read(5000);
        ASSERT_TRUE(!readable || got.has_value());
        ASSERT_LE(got.value_or("").size(), LineDiscipline::capacity);
    }
    // Full to the brim, a line can still be ended.
    struct termios set = settings();
    set.c_lflag = ICANON;
    set.c_iflag = ICRNL;
    ASSERT_TRUE(ioctl(TCSETSF, set));
    type(std::string(10'000, 'x'));
    EXPECT_EQ(error_of(read()), Errno::eagain);
    type("\r");
    EXPECT_EQ(read(5000)->size(), LineDiscipline::capacity);
}

TEST_F(TerminalTest, DevicesDoWhatTheirNamesSay) {
    ASSERT_TRUE(start_devices(terminal_));
    Tree tree;
    ASSERT_TRUE(tree.make_directory("/dev"));
    ASSERT_TRUE(populate_dev(tree.find("/dev").value()));
    ASSERT_TRUE(populate_dev(tree.find("/dev").value()));  // again: what is there stays
    const auto device = [&](const char* name) {
        return open(tree.caller(), name, open_flag::read_write | open_flag::nonblock, 0).value();
    };
    EXPECT_EQ(Tree::read(*device("/dev/null")), "");
    EXPECT_EQ(Tree::write(*device("/dev/null"), "gone"), 4U);
    EXPECT_EQ(Tree::read(*device("/dev/zero"), 3), std::string(3, '\0'));
    EXPECT_EQ(error_of(Tree::write(*device("/dev/full"), "x")), Errno::enospc);
    ASSERT_TRUE(Tree::write(*device("/dev/console"), "shown\n"));
    EXPECT_EQ(paper_.text, "shown\r\n");
    jobs_.own_session = 0;
    EXPECT_EQ(error_of(open(tree.caller(), "/dev/tty", open_flag::read_write, 0)), Errno::enxio);
    jobs_.own_session = 1;
    (void)device("/dev/ttyS0");
    EXPECT_TRUE(open(tree.caller(), "/dev/tty", open_flag::read_write, 0));
    ASSERT_TRUE(make_node(tree.caller(), "/dev/none", NodeType::block_device, 0600, {300, 0}));
    EXPECT_EQ(error_of(open(tree.caller(), "/dev/none", open_flag::read_only, 0)), Errno::enxio);
}

void see_the_pool_seeded() {
    Tree tree;
    ASSERT_TRUE(make_node(tree.caller(), "/urandom", NodeType::character_device, 0666, {1, 9}));
    static Paper paper;
    (void)start_devices(Ref<Terminal>::adopt(new Terminal(paper, {4, 64})));
    const auto file = open(tree.caller(), "/urandom", open_flag::read_write | open_flag::nonblock, 0).value();
    EXPECT_EQ(error_of(Tree::read(*file, 16)), Errno::eagain);
    ASSERT_TRUE(
        Tree::write(*file, std::string(1000, 'x')));  // what programs write is mixed in, and believed nothing
    EXPECT_EQ(error_of(Tree::read(*file, 16)), Errno::eagain);
    const std::array<std::byte, 32> seed{};
    random::add(seed, 256);
    const auto first = Tree::read(*file, 1000).value();
    const auto second = Tree::read(*file, 1000).value();
    EXPECT_EQ(first.size(), 1000U);
    EXPECT_NE(first, second);
}

// A process has one pool, and other tests seed it: in a process of its own.
TEST(LedgerRandom, GivesNothingBeforeItIsSeeded) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT((see_the_pool_seeded(), ::_exit(testing::Test::HasFailure() ? 1 : 0)),
                testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pv::fs
