// The command line: words, lists, numbers, sizes, durations.
// SPDX-License-Identifier: MIT
#include "boot/options.hpp"

#include <gtest/gtest.h>

namespace pv::boot {
namespace {

using namespace literals;

TEST(Options, FindsWordsWhole) {
    const CommandLine line("  exercise=threads:4 quiet\ttest=a,b  exercised=1 last");
    EXPECT_EQ(line.option("exercise"), "threads:4");
    EXPECT_EQ(line.option("quiet"), "");
    EXPECT_EQ(line.option("test"), "a,b");
    EXPECT_EQ(line.option("last"), "");
    EXPECT_EQ(line.option("exer"), std::nullopt);
    EXPECT_EQ(line.option("threads:4"), std::nullopt);
    EXPECT_EQ(line.option("absent"), std::nullopt);
    EXPECT_EQ(CommandLine("").option("x"), std::nullopt);
    EXPECT_EQ(CommandLine("a=1 a=2 a=").option("a"), "");
}

TEST(Options, SplitsLists) {
    constexpr std::string_view list = "threads:4,,verify,deadline:2s,odd:a:b";
    EXPECT_EQ(item(list, "threads"), "4");
    EXPECT_EQ(item(list, "verify"), "");
    EXPECT_EQ(item(list, "odd"), "a:b");
    EXPECT_EQ(item(list, "thread"), std::nullopt);
    int count = 0;
    for_each_item(list, [&](std::string_view, std::string_view) { ++count; });
    EXPECT_EQ(count, 4);
}

TEST(Options, Numbers) {
    EXPECT_EQ(parse_number("42"), 42U);
    EXPECT_EQ(parse_number("0x1F"), 31U);
    EXPECT_EQ(parse_number("18446744073709551615"), ~0ULL);
    for (const char* bad : {"", "x", "-1", "+1", "1 ", "18446744073709551616", "0x", "4k", "1e3"}) {
        EXPECT_FALSE(parse_number(bad)) << bad;
    }
}

TEST(Options, Sizes) {
    EXPECT_EQ(parse_size("16k"), 16U << 10);
    EXPECT_EQ(parse_size("3M"), 3U << 20);
    EXPECT_EQ(parse_size("2G"), 2ULL << 30);
    EXPECT_EQ(parse_size("1T"), 1ULL << 40);
    EXPECT_EQ(parse_size("512"), 512U);
    for (const char* bad : {"", "k", "16kB", "16 k", "17592186044416M", "-1k"}) {
        EXPECT_FALSE(parse_size(bad)) << bad;
    }
}

TEST(Options, Durations) {
    EXPECT_EQ(parse_duration("2s"), 2_s);
    EXPECT_EQ(parse_duration("15ms"), 15_ms);
    EXPECT_EQ(parse_duration("7us"), 7_us);
    EXPECT_EQ(parse_duration("7ns"), 7_ns);
    EXPECT_EQ(parse_duration("3min"), 180_s);
    EXPECT_EQ(parse_duration("99999999999999s"), Duration::max());
    for (const char* bad : {"", "2", "s", "2 s", "2h", "1.5s", "-2s"}) {
        EXPECT_FALSE(parse_duration(bad)) << bad;
    }
}

}  // namespace
}  // namespace pv::boot
