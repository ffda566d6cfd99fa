// Input that waits for the guest.
// SPDX-License-Identifier: MIT
#include "cli/typing.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/file.hpp"

namespace pv::cli {
namespace {

namespace fs = std::filesystem;

class TypingTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string path = fs::temp_directory_path() / "pt.XXXXXX";
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        folder_ = path;
        console_ = domain::Console::listen(folder_ / "c", folder_ / "c.txt", {}).value();
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        options_.input = ends[0];
        read_end_.reset(ends[0]);
        write_end_.reset(ends[1]);
    }

    void TearDown() override {
        console_.reset();
        fs::remove_all(folder_);
    }

    void connect() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = folder_ / "c";
        path.copy(&address.sun_path[0], sizeof address.sun_path - 1);
        guest_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::connect(guest_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }

    // What the guest gets, while `typing` passes on whatever it has.
    std::string received(Typing& typing, std::size_t length) {
        std::string all;
        while (all.size() < length) {
            if (typing.input() >= 0) {
                typing.take();
            }
            typing.pass_on();
            std::array<char, 65536> buffer{};
            const ssize_t got = ::recv(guest_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
            all.append(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
        }
        return all;
    }

    void type(const std::string& text) {
        ASSERT_EQ(::write(write_end_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }

    fs::path folder_;
    std::unique_ptr<domain::Console> console_;
    WaitOptions options_;
    Descriptor read_end_, write_end_, guest_;
};

TEST_F(TypingTest, waits_for_a_guest_that_is_not_there_yet) {
    type("early\n");
    Typing typing(*console_, options_);
    typing.take();
    typing.pass_on();
    EXPECT_TRUE(typing.waits());
    EXPECT_EQ(typing.input(), -1);  // a pipe waits with its bytes
    connect();
    type("late\n");
    EXPECT_EQ(received(typing, 11), "early\nlate\n");
    EXPECT_FALSE(typing.waits());
}

TEST_F(TypingTest, waits_until_the_guest_is_ready) {
    bool ready = false;
    options_.ready = [&ready] { return ready; };
    connect();
    type("x\n");
    Typing typing(*console_, options_);
    EXPECT_EQ(typing.input(), -1);
    EXPECT_TRUE(typing.waits());
    ready = true;
    EXPECT_EQ(received(typing, 2), "x\n");
}

TEST_F(TypingTest, the_end_of_a_pipe_is_typed_once_after_a_line_and_twice_within_one) {
    options_.end_of_input = "\x04";
    connect();
    for (const bool line : {true, false}) {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        options_.input = ends[0];
        read_end_.reset(ends[0]);
        write_end_.reset(ends[1]);
        Typing typing(*console_, options_);
        type(line ? "a\n" : "a");
        typing.take();
        write_end_.reset();
        EXPECT_EQ(received(typing, 3), line ? "a\n\x04" : "a\x04\x04");
        EXPECT_EQ(typing.input(), -1);
    }
}

TEST_F(TypingTest, nothing_of_a_pipe_is_lost_when_the_guest_reads_slowly) {
    connect();
    std::string all;
    for (int i = 0; all.size() < 40'000; ++i) {
        all += std::to_string(i) + "\n";
    }
    type(all);
    Typing typing(*console_, options_);
    EXPECT_EQ(received(typing, all.size()), all);
}

}  // namespace
}  // namespace pv::cli
