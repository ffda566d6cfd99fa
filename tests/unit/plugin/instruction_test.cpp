// The instructions the plugin watches, and those that only look like them.
// SPDX-License-Identifier: MIT
#include "plugin/instruction.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "plugin/site.hpp"

namespace pv::plugin {
namespace {

using Code = std::vector<std::uint8_t>;

TEST(PluginMarker, IsTheNoOpWithTheMagic) {
    EXPECT_EQ(marker_number(Code{0x0f, 0x1f, 0x84, 0x00, 0x10, 0x00, 0x56, 0x50}), 0x10);
    EXPECT_EQ(marker_number(Code{0x0f, 0x1f, 0x84, 0x00, 0xbc, 0x7a, 0x56, 0x50}), 0x7abc);
}

TEST(PluginMarker, PaddingIsNone) {
    for (const Code& code : {Code{0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},              // what compilers pad with
                             Code{0x66, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},        // nine bytes
                             Code{0x0f, 0x1f, 0x84, 0x00, 0x10, 0x00, 0x56, 0x51},  // another magic
                             Code{0x0f, 0x1f, 0x84, 0x00, 0x10, 0x00, 0x50, 0x56},  // the wrong way round
                             Code{0x0f, 0x1f, 0x84, 0x01, 0x10, 0x00, 0x56, 0x50},  // another operand
                             Code{0x0f, 0x1f, 0x84, 0x00, 0x10, 0x00, 0x56}, Code{}}) {
        EXPECT_FALSE(marker_number(code)) << testing::PrintToString(code);
    }
}

void expect_write(const Code& code, int number, int source) {
    const auto write = control_write(code);
    ASSERT_TRUE(write) << testing::PrintToString(code);
    EXPECT_EQ(write->number, number);
    EXPECT_EQ(write->source, source);
}

TEST(PluginControl, DecodesMovesToControlRegisters) {
    expect_write({0x0f, 0x22, 0xd8}, 3, 0);         // mov %rax, %cr3
    expect_write({0x0f, 0x22, 0xc1}, 0, 1);         // mov %rcx, %cr0
    expect_write({0x41, 0x0f, 0x22, 0xe5}, 4, 13);  // mov %r13, %cr4
    expect_write({0x44, 0x0f, 0x22, 0xc0}, 8, 0);   // mov %rax, %cr8
    expect_write({0x66, 0x0f, 0x22, 0xdf}, 3, 7);
    for (const Code& code : {Code{0x0f, 0x20, 0xd8}, Code{0x0f, 0x22}, Code{0x22, 0xd8}, Code{}}) {
        EXPECT_FALSE(control_write(code));
    }
}

TEST(PluginControl, ASitePacksWhatItNeeds) {
    const Site site = Site::of(0xffffffff81234567, {8, 13}, 4);
    const Site back = Site::unpack(site.pack());
    EXPECT_EQ(back.pc, 0xffffffff81234567);
    EXPECT_EQ(Site::length(back.detail), 4U);
    EXPECT_EQ(Site::control(back.detail).number, 8);
    EXPECT_EQ(Site::control(back.detail).source, 13);
    EXPECT_EQ(Site::unpack((Site{0x00ff000000000000, 7}).pack()).pc, 0U) << "beyond 48 bits: not known";
    EXPECT_EQ(Site::unpack((Site{0x00ff000000000000, 7}).pack()).detail, 7);
    EXPECT_EQ(Site::unpack((Site{0x7ffffffff000, 7}).pack()).pc, 0x7ffffffff000U);
}

Context context() {
    Context c;
    c.long_mode = true;
    c.next = 0x400000;
    for (std::size_t i = 0; i < 16; ++i) {
        c.general[i] = (i + 1) << 20;  // rax 1M, rcx 2M, ...
    }
    c.fs_base = 0xf000'0000'0000;
    c.gs_base = 0xe000'0000'0000;
    return c;
}

TEST(PluginInvlpg, FormsItsAddress) {
    const Context c = context();
    const auto at = [&](const Code& code) { return invlpg_address(code, c).value_or(1); };
    EXPECT_EQ(at({0x0f, 0x01, 0x38}), 1U << 20);                     // (%rax)
    EXPECT_EQ(at({0x41, 0x0f, 0x01, 0x79, 0xf8}), (10U << 20) - 8);  // -8(%r9)
    EXPECT_EQ(at({0x0f, 0x01, 0xbc, 0x88, 0x34, 0x12, 0, 0}), (1 << 20) + 4 * (2 << 20) + 0x1234);
    EXPECT_EQ(at({0x0f, 0x01, 0x3d, 0xf0, 0xff, 0xff, 0xff}), 0x400000U - 16);    // -16(%rip)
    EXPECT_EQ(at({0x0f, 0x01, 0x3c, 0x25, 0x00, 0xf0, 0x7f, 0x00}), 0x7ff000U);   // absolute
    EXPECT_EQ(at({0x0f, 0x01, 0x3c, 0x24}), 5U << 20);                            // (%rsp)
    EXPECT_EQ(at({0x42, 0x0f, 0x01, 0x3c, 0xe0}), (1U << 20) + 8 * (13U << 20));  // (%rax,%r12,8)
    EXPECT_EQ(at({0x0f, 0x01, 0x3c, 0xed, 0x10, 0, 0, 0}), 8 * (6U << 20) + 16);  // 16(,%rbp,8)
    EXPECT_EQ(at({0x41, 0x0f, 0x01, 0x7d, 0x00}), 14U << 20);                     // 0(%r13)
    EXPECT_EQ(at({0x65, 0x0f, 0x01, 0x38}), 0xe000'0010'0000U);                   // %gs:(%rax)
    EXPECT_EQ(at({0x64, 0x0f, 0x01, 0x38}), 0xf000'0010'0000U);
    EXPECT_EQ(at({0x67, 0x0f, 0x01, 0x38}), 1U << 20);
    EXPECT_EQ(at({0x0f, 0x01, 0x3c, 0x25, 0x00, 0xf0, 0xff, 0xff}), 0xfffffffffffff000U);
}

TEST(PluginInvlpg, KnowsThirtyTwoBitCode) {
    Context c = context();
    c.long_mode = false;
    EXPECT_EQ(invlpg_address(Code{0x0f, 0x01, 0x3d, 0x00, 0xf0, 0x7f, 0x00}, c), 0x7ff000U);
    EXPECT_FALSE(invlpg_address(Code{0x67, 0x0f, 0x01, 0x3f}, c)) << "16-bit addressing is not decoded";
}

TEST(PluginInvlpg, RefusesOthersAndTornOnes) {
    const Context c = context();
    for (const Code& code :
         {Code{0x0f, 0x01, 0xf8} /* swapgs */, Code{0x0f, 0x01, 0x30} /* lmsw */, Code{0x0f, 0x01},
          Code{0x0f, 0x01, 0x3c}, Code{0x0f, 0x01, 0xbc, 0x88, 0x34}, Code{0x0f, 0x01, 0x3d, 0}, Code{}}) {
        EXPECT_FALSE(invlpg_address(code, c)) << testing::PrintToString(code);
    }
    EXPECT_FALSE(is_invlpg(Code{0x0f, 0x01, 0xf8}));
    EXPECT_TRUE(is_invlpg(Code{0x41, 0x0f, 0x01, 0x39}));
}

}  // namespace
}  // namespace pv::plugin
