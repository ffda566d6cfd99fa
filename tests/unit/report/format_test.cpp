// Numbers, moments and names as reports show them.
// SPDX-License-Identifier: MIT
#include "report/format.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace {

using namespace pv::report;

TEST(Format, GroupsDigits) {
    EXPECT_EQ(count_text(0), "0");
    EXPECT_EQ(count_text(999), "999");
    EXPECT_EQ(count_text(1204), "1,204");
    EXPECT_EQ(count_text(1'000'000), "1,000,000");
    EXPECT_EQ(count_text(std::numeric_limits<std::uint64_t>::max()), "18,446,744,073,709,551,615");
    EXPECT_EQ(plural_text(1, "finding"), "1 finding");
    EXPECT_EQ(plural_text(0, "finding"), "0 findings");
}

TEST(Format, TellsDurations) {
    EXPECT_EQ(duration_text(40), "40 µs");
    EXPECT_EQ(duration_text(-40), "-40 µs");
    EXPECT_EQ(duration_text(1'240), "1.24 ms");
    EXPECT_EQ(duration_text(12'400), "12.4 ms");
    EXPECT_EQ(duration_text(3'020'000), "3.02 s");
    EXPECT_EQ(moment_text(1'234'567), "1.234567 s");
    EXPECT_EQ(moment_text(-5), "-0.000005 s");
    EXPECT_EQ(moment_text(std::numeric_limits<std::int64_t>::min()), "-9223372036854.775808 s");
}

TEST(Format, NamesDevices) {
    EXPECT_EQ(bdf_text(0x80), "0000:00:10.0");
    EXPECT_EQ(bdf_text(0x10000 | 2U << 8U | 31U << 3U | 7U), "0001:02:1f.7");
    const std::vector<pv::store::Device> devices = {
        {.bdf = 0x80, .name = "di\x1bsk", .kind = "nvme", .detail = ""},
        {.bdf = 0x88, .name = "", .kind = "", .detail = ""}};
    EXPECT_EQ(device_text(devices, 0x80), "di\\x1bsk");
    EXPECT_EQ(device_text(devices, 0x88), "0000:00:11.0");
    EXPECT_EQ(device_text(devices, 0x90), "0000:00:12.0");
}

TEST(Format, PutsTheRuleBeforeATitleOnce) {
    pv::store::Finding finding;
    finding.rule = "dma-leak";
    finding.title = "3 mappings are left";
    EXPECT_EQ(title_text(finding), "dma-leak: 3 mappings are left");
    finding.title = "dma-leak: 3 mappings are left";
    EXPECT_EQ(title_text(finding), "dma-leak: 3 mappings are left");
    finding.title = "line\nfeed";
    EXPECT_EQ(title_text(finding), "dma-leak: line\\nfeed");
}

}  // namespace
