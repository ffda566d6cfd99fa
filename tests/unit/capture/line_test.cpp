// Cutting the stream into lines: no split of the bytes changes what comes out, and the buffer stays bounded.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capture/line_splitter.hpp"

namespace pv::capture {
namespace {

using Lines = std::vector<std::pair<std::string, bool>>;

Lines split(const std::string& stream, std::size_t chunk, std::size_t max_line, std::string& remainder) {
    LineSplitter splitter(max_line);
    Lines lines;
    for (std::size_t at = 0; at < stream.size(); at += chunk) {
        const std::string piece = stream.substr(at, chunk);
        const std::span<char> room = splitter.room(chunk);
        piece.copy(room.data(), piece.size());
        splitter.filled(piece.size(), [&](std::string_view line, LineSplitter::Whole whole) {
            lines.emplace_back(line, whole == LineSplitter::Whole::yes);
        });
        EXPECT_LE(splitter.remainder().size(), max_line);
    }
    remainder = splitter.remainder();
    return lines;
}

TEST(LineSplitter, gives_the_same_lines_however_the_bytes_are_cut) {
    const std::string stream = "one\n\nthree\n" + std::string(10, 'a') + "\n" + std::string(11, 'b') + "\n" +
                               std::string(100, 'c') + "\nlast";
    const Lines expected = {{"one", true},
                            {"", true},
                            {"three", true},
                            {std::string(10, 'a'), true},
                            {std::string(10, 'b'), false},
                            {std::string(10, 'c'), false}};
    for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
        std::string remainder;
        EXPECT_EQ(split(stream, chunk, 10, remainder), expected) << chunk;
        EXPECT_EQ(remainder, "last") << chunk;
    }
}

TEST(LineSplitter, stays_bounded_on_a_line_without_end) {
    LineSplitter splitter(1'000);
    int given = 0;
    for (int i = 0; i < 10'000; ++i) {
        const std::span<char> room = splitter.room(100);
        std::fill(room.begin(), room.end(), 'x');
        splitter.filled(room.size(), [&](std::string_view, LineSplitter::Whole whole) {
            EXPECT_EQ(whole, LineSplitter::Whole::no);
            ++given;
        });
        ASSERT_LE(splitter.remainder().size(), 1'000U);
    }
    EXPECT_EQ(given, 1);
}

}  // namespace
}  // namespace pv::capture
