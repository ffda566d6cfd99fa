// The terminal's report: what it says, its width, its colours, and that a guest's text cannot act on a
// terminal.
// SPDX-License-Identifier: MIT
#include "report/terminal.hpp"

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <string_view>

#include "fixture.hpp"
#include "report/text.hpp"

namespace {

using pv::report::TerminalOptions;
using testing::HasSubstr;
using testing::Not;

class Terminal : public pv::test::ReportTest {
  protected:
    std::string print(pv::store::Trace trace, const TerminalOptions& options = {}) {
        pv::Result<std::string> text = pv::report::terminal(trace, options);
        EXPECT_TRUE(text) << (text ? "" : text.error().message);
        return text.value_or("");
    }
};

TEST_F(Terminal, SaysPassWithWhatItIsBasedOn) {
    const std::string text = print(sample({.findings = false}));
    EXPECT_THAT(text, HasSubstr("verdict: pass (6 held, 0 broken, 0 not observed; "));
    EXPECT_THAT(text, HasSubstr("dma-outside-mapping  held          1,204 transfers\n"));
    EXPECT_THAT(text, Not(HasSubstr("time line")));
    EXPECT_THAT(text, Not(HasSubstr("because")));
}

TEST_F(Terminal, ShowsAFindingWithItsEvidence) {
    const std::string text = print(sample(), {.width = 200});
    EXPECT_THAT(text, HasSubstr("error: dma-after-unmap: disk0 wrote 512 bytes at bus address 0x1f3000, 40 "
                                "µs after it was unmapped\n"));
    EXPECT_THAT(text, HasSubstr("owner: mapping 77, from device"));
    EXPECT_THAT(text, HasSubstr("mapped     -900 µs   marker_dma_map device disk0 mapping 77 bus 0x1f3000 "
                                "physical 0x1f3000 length 512 direction from device"));
    EXPECT_THAT(text, HasSubstr("access     here      dma_access"));
    EXPECT_THAT(
        text,
        HasSubstr("reproduce: paravane check --disk nvme:64M --fault 'stall disk0 read after 100 for 2s'\n"));
    EXPECT_THAT(text, HasSubstr("warning: cmd-deadline: a read of disk0"));
    EXPECT_THAT(text,
                HasSubstr("vCPU 1, pc 0xffffffff801042a0 pv::nvme::Queue::map(pv::dma::Mapping&)+0xa0"));
    EXPECT_THAT(text, HasSubstr("verdict: fail (5 held, 2 broken, 1 not observed; "));
    EXPECT_THAT(text, HasSubstr("because 2 rules broken"));
    EXPECT_THAT(text, HasSubstr("\n  the guest powered off, status 3\n"));
}

TEST_F(Terminal, SaysWhyARuleWasNotObserved) {
    EXPECT_THAT(print(sample()),
                HasSubstr("mmio-poll-unbounded  not observed  needs the guest's promise to mark waits\n"));
}

TEST_F(Terminal, PutsTheStallOnATimeLine) {
    const std::string text = print(sample(), {.width = 120});
    EXPECT_THAT(text, HasSubstr("time line\n  disk0  |["));
    EXPECT_THAT(text, HasSubstr("2.201000 s   +1.00 s  disk0  timeout      read of block 8, command 31"));
    EXPECT_THAT(text, HasSubstr("disk0  abort        command 31 on queue 1\n"));
    EXPECT_THAT(text, HasSubstr("disk0  reset        controller disabled"));
    std::string strip = text.substr(text.find("|["));
    strip = strip.substr(0, strip.find("|\n"));
    const std::size_t timeout = strip.find('T');
    const std::size_t reset = strip.find('R');
    ASSERT_NE(timeout, std::string::npos);
    ASSERT_NE(reset, std::string::npos);
    EXPECT_LT(timeout, strip.find('A'));
    EXPECT_LT(strip.find('A'), reset);
    EXPECT_LT(reset, strip.find(']'));
}

TEST_F(Terminal, KeepsToTheWidth) {
    const pv::store::Trace made = sample();
    for (const std::size_t width : {60U, 80U, 140U}) {
        std::istringstream lines(print(open(), {.width = width}));
        for (std::string line; std::getline(lines, line);) {
            EXPECT_LE(pv::report::columns(line), width) << line;
        }
    }
}

TEST_F(Terminal, ColoursOnlyWhenAsked) {
    pv::store::Trace trace = sample();
    EXPECT_THAT(print(open()), Not(HasSubstr("\x1b")));
    EXPECT_THAT(print(open(), {.color = true}), HasSubstr("\x1b[1;31mfail\x1b[0m"));
}

TEST_F(Terminal, ShowsAsManyFindingsAsAskedFor) {
    const std::string text = print(sample(), {.findings = 1, .trace_path = "trace.db"});
    EXPECT_THAT(text, Not(HasSubstr("warning: cmd-deadline")));
    EXPECT_THAT(text,
                HasSubstr("1 finding of 2 are shown. All: paravane query trace.db 'select * from finding'"));
}

TEST_F(Terminal, ListsKnownFindingsApart) {
    const std::string text = print(sample({.known = true}));
    EXPECT_THAT(text, HasSubstr("error: dma-after-unmap"));
    EXPECT_THAT(text, Not(HasSubstr("warning: cmd-deadline")));
    EXPECT_THAT(text,
                HasSubstr("suppressed\n"
                          "  dma-* at disk7: unused: fitted no finding; was mended\n"
                          "  cmd-* at *: 5 findings (until 2030-01-31); the disk is stalled on purpose\n"
                          "    cmd-deadline"));
    EXPECT_THAT(text, HasSubstr("  * at *: expired on 2020-01-31; old\n"));
}

TEST_F(Terminal, SaysOnlyTheVerdictWhenQuiet) {
    const std::string text = print(sample(), {.verdict_only = true});
    EXPECT_TRUE(text.starts_with("verdict: fail")) << text;
    EXPECT_THAT(text, Not(HasSubstr("rules\n")));
}

TEST_F(Terminal, LetsNoGuestTextActOnTheTerminal) {
    const std::string text = print(sample({.hostile = true}), {.color = false});
    EXPECT_THAT(text, HasSubstr("\\x1b[31mred"));
    EXPECT_THAT(text, HasSubstr("\\u{202e}evil"));
    EXPECT_THAT(text, Not(HasSubstr("\u202E")));
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        EXPECT_TRUE(byte == '\n' || (byte >= 0x20 && byte != 0x7f)) << static_cast<int>(byte);
    }
}

TEST_F(Terminal, RefusesATraceThatWasNotJudged) {
    {
        pv::Result<pv::store::Writer> writer = pv::store::Writer::create(path("trace.db"));
        ASSERT_TRUE(writer);
        ASSERT_TRUE(writer->finish());
    }
    pv::store::Trace trace = open();
    const pv::Result<std::string> text = pv::report::terminal(trace, {});
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().status, pv::ExitStatus::usage);
    EXPECT_THAT(text.error().message, HasSubstr("holds no verdict"));
    EXPECT_THAT(text.error().hint, HasSubstr("paravane analyze"));
}

TEST(TerminalColour, FollowsNoColor) {
    EXPECT_FALSE(pv::report::wants_color(-1));
}

}  // namespace
