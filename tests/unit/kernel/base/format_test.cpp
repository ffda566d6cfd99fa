// The kernel's formatter: types, widths, bounds; the log's prefixes and what it makes harmless.
// SPDX-License-Identifier: MIT
#include "base/format.hpp"

#include <gmock/gmock.h>

#include <limits>
#include <string>

#include "base/log.hpp"
#include "base/result.hpp"
#include "hosted/control.hpp"

namespace pv {
namespace {

using namespace literals;

template <class... Args>
std::string formatted(format::String<std::type_identity_t<Args>...> text, const Args&... args) {
    std::array<char, 256> buffer;
    return std::string(format::to(buffer, text, args...));
}

TEST(Format, Integers) {
    EXPECT_EQ(formatted("{} {} {}", 0, -1, 42U), "0 -1 42");
    EXPECT_EQ(formatted("{}", std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
    EXPECT_EQ(formatted("{}", std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
    EXPECT_EQ(formatted("{:#x} {:x}", 255U, std::uint8_t{16}), "0xff 10");
    EXPECT_EQ(formatted("{:#06x}|{:6}|{:<6}|{:06}", 0xabU, 12, 12, -12), "0x00ab|    12|12    |-00012");
}

TEST(Format, OtherTypes) {
    EXPECT_EQ(formatted("{} {} {}", true, 'c', "text"), "true c text");
    EXPECT_EQ(formatted("{:>6}|{:<6}|", std::string_view("ab"), "cd"), "    ab|cd    |");
    EXPECT_EQ(formatted("{}", PhysicalAddress(0x1f0)), "0x1f0");
    EXPECT_EQ(formatted("{} {}", Error::timed_out, Error::corrupt), "timed out corrupt");
    EXPECT_EQ(formatted("{} {} {} {}", 2_s, 1500_us, 7_us, 12_ns), "2.000 s 1.500 ms 7.000 us 12 ns");
    EXPECT_EQ(formatted("{{{}}}", 1), "{1}");
}

TEST(Format, NeverWritesPastTheBuffer) {
    std::array<char, 8> buffer;
    buffer.fill('#');
    format::Writer writer(std::span<char>(buffer).first(5));
    format::write(writer, "{}", "longer than that");
    EXPECT_EQ(writer.text(), "longe");
    EXPECT_TRUE(writer.truncated());
    EXPECT_EQ(buffer[5], '#');
}

TEST(Format, MissingArgumentsWriteNothing) {
    std::array<char, 32> buffer;
    format::Writer writer(buffer);
    format::write_arguments(writer, "a{}b{:x}c", {});
    EXPECT_EQ(writer.text(), "abc");
}

TEST(Log, KeepsHostileTextOnOneLine) {
    hosted::take_log();
    log::warning("serial \"{}\"", "disk\n[    0.000000] forged\x1b[31m\x7f");
    EXPECT_THAT(hosted::take_log(),
                testing::ElementsAre("warning: serial \"disk?[    0.000000] forged?[31m?\""));
}

TEST(Log, CutsLongLinesAndSaysSo) {
    hosted::take_log();
    log::info("{}", std::string(2000, 'x'));
    const auto lines = hosted::take_log();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_LE(lines[0].size(), log::line_max);
    EXPECT_TRUE(lines[0].ends_with("xxx..."));
}

TEST(Log, ThresholdSilences) {
    hosted::take_log();
    log::debug("not this");
    log::set_threshold(log::Level::error);
    log::warning("nor this");
    log::error("but this");
    log::set_threshold(log::Level::info);
    EXPECT_THAT(hosted::take_log(), testing::ElementsAre("error: but this"));
}

}  // namespace
}  // namespace pv
