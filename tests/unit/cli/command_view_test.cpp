// A command's output between what kernel and /init say.
// SPDX-License-Identifier: MIT
#include "cli/command_view.hpp"

#include <gtest/gtest.h>

#include "paravane/image.h"

namespace pv::cli {
namespace {

const std::string before = "BIOS\r\n[ 0.1] kernel\n\n" PV_IMAGE_STARTING "\r\n";
const std::string after = PV_IMAGE_END "\n" PV_IMAGE_STATUS "3\n[ 1.2] reboot: Power down\r\n";
const std::string at_terminal = PV_IMAGE_END "\r\n" PV_IMAGE_STATUS "3\r\n";

std::string shown(const std::string& console, std::size_t piece) {
    std::string result;
    CommandView view([&result](std::string_view bytes) { result += bytes; });
    for (std::size_t at = 0; at < console.size(); at += piece) {
        view.show(std::string_view(console).substr(at, piece));
    }
    view.finish();
    return result;
}

TEST(CommandView, shows_the_command_alone_in_whatever_pieces_it_comes) {
    for (const std::string& output :
         {std::string("hello\r\n"), std::string("no line's end"), std::string(), std::string("\n\n\n"),
          std::string("a\nparavane: powering"), std::string(PV_IMAGE_END "\nparavane: power\n"),
          std::string("\0\xff\x1b[2J", 6)}) {
        for (const std::size_t piece : {1U, 2U, 3U, 7U, 1'000U}) {
            EXPECT_EQ(shown(before + output + after, piece), output) << piece;
        }
        EXPECT_EQ(shown(before + output + at_terminal, 5), output);
    }
}

TEST(CommandView, shows_everything_when_the_command_never_started) {
    EXPECT_EQ(shown("BIOS\r\npanic\n", 3), "BIOS\r\npanic\n");
}

TEST(CommandView, holds_nothing_back_of_a_command_that_prints_status_lines_itself) {
    const std::string output = "x" + after + std::string(5'000, 'y') + "\nend\n";
    for (const std::size_t piece : {1U, 10U, 10'000U}) {
        EXPECT_EQ(shown(before + output + after, piece), output);
    }
}

TEST(CommandView, holds_no_line_back) {
    std::string out;
    CommandView view([&out](std::string_view bytes) { out += bytes; });
    view.show(before);
    for (const std::string_view line : {"one\n", "two\r\n", "\n", "three\r", PV_IMAGE_END "\r\nno\n"}) {
        out.clear();
        view.show(line);
        EXPECT_EQ(out, line);
    }
}

TEST(CommandView, says_when_the_command_has_started) {
    CommandView view([](std::string_view) {});
    view.show(before.substr(0, before.size() - 1));
    EXPECT_FALSE(view.started());
    view.show("\n");
    EXPECT_TRUE(view.started());
}

}  // namespace
}  // namespace pv::cli
