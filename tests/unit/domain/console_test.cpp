// The console: bounded file, last line, input.
// SPDX-License-Identifier: MIT
#include "domain/console.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "base/file.hpp"
#include "domain/scratch.hpp"

namespace pv::domain {
namespace {

using namespace std::chrono_literals;

Descriptor connect_to(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    EXPECT_LT(path.native().size(), sizeof address.sun_path);
    path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return socket;
}

void print(const Descriptor& guest, std::string_view text) {
    while (!text.empty()) {
        const ssize_t put = ::send(guest.get(), text.data(), text.size(), MSG_NOSIGNAL);
        ASSERT_GT(put, 0);
        text.remove_prefix(static_cast<std::size_t>(put));
    }
}

std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Console, tail_and_file) {
    const auto scratch = Scratch::create().value();
    const auto console = Console::listen(scratch->path() / "c", scratch->path() / "c.txt", {}).value();
    Descriptor guest = connect_to(scratch->path() / "c");
    print(guest, "boot\r\nparavane: powering off, status 3\r\n\r\n");
    guest.reset();
    console->finish(5s);
    EXPECT_EQ(console->tail(), "boot\r\nparavane: powering off, status 3\r\n\r\n");
    EXPECT_EQ(content(scratch->path() / "c.txt"), "boot\r\nparavane: powering off, status 3\r\n\r\n");
}

TEST(Console, a_guest_that_prints_without_end_is_bounded) {
    const auto scratch = Scratch::create().value();
    const auto console = Console::listen(scratch->path() / "c", scratch->path() / "c.txt", {}).value();
    Descriptor guest = connect_to(scratch->path() / "c");
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 12; ++i) {
        print(guest, piece);
    }
    print(guest, "\nthe end");
    guest.reset();
    console->finish(10s);
    const std::string kept = content(scratch->path() / "c.txt");
    EXPECT_LE(kept.size(), console_head + console_tail + 200);
    EXPECT_TRUE(kept.ends_with("the end"));
    EXPECT_NE(kept.find("bytes of the console were not kept"), std::string::npos);
}

}  // namespace
}  // namespace pv::domain
