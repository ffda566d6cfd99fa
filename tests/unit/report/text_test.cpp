// Widths and wrapping.
// SPDX-License-Identifier: MIT
#include "report/text.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace {

using namespace pv::report;

TEST(Text, CountsColumns) {
    EXPECT_EQ(columns(""), 0U);
    EXPECT_EQ(columns("abc"), 3U);
    EXPECT_EQ(columns("40 µs"), 5U);
    EXPECT_EQ(columns("\u6f22\u5b57"), 4U);           // wide
    EXPECT_EQ(columns("e\u0301"), 1U);                // combining
    EXPECT_EQ(columns(std::string("\xe6\xbc")), 2U);  // cut short: a column a byte
}

TEST(Text, WrapsAtSpaces) {
    EXPECT_EQ(wrap("one two three", 10, ""), "one two\nthree\n");
    EXPECT_EQ(wrap("one two three", 12, "  "), "  one two\n  three\n");
    EXPECT_EQ(wrap("", 20, "  "), "");
    EXPECT_EQ(wrap("a\n\nb", 20, "  "), "  a\n\n  b\n");
}

TEST(Text, BreaksLongWordsAndStaysWithinTheWidth) {
    const std::string word(95, 'x');
    std::istringstream lines(wrap("at " + word + " \u6f22\u5b57\u6f22\u5b57\u6f22\u5b57", 20, "    "));
    std::string line;
    std::string all;
    while (std::getline(lines, line)) {
        EXPECT_LE(columns(line), 20U) << line;
        for (const char c : line) {
            all += c == 'x' ? "x" : "";
        }
    }
    EXPECT_EQ(all, word);
}

TEST(Text, KeepsTheIndentationOfALine) {
    EXPECT_EQ(wrap("  one two three", 12, ""), "  one two\n  three\n");
}

TEST(Text, Pads) {
    EXPECT_EQ(pad("µs", 4), "µs  ");
    EXPECT_EQ(pad("longer", 4), "longer");
}

}  // namespace
