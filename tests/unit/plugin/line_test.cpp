// Lines in the form of QEMU's own.
// SPDX-License-Identifier: MIT
#include "plugin/line.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace pv::plugin {
namespace {

TEST(PluginLine, LooksLikeQemusOwn) {
    Line line{812, 1795231757, 31279, "paravane_marker"};
    line.decimal("cpu", 0)
        .hex("pc", 0xffffffff80101234)
        .hex("number", 0x10)
        .word("args")
        .number(0x80, 16)
        .number(0, 16);
    EXPECT_EQ(
        std::string{line.finish()},
        "812@1795231757.031279:paravane_marker cpu 0 pc 0xffffffff80101234 number 0x10 args 0x80 0x0\n");
}

TEST(PluginLine, NeverOverflows) {
    Line line{"paravane_marker"};
    for (int i = 0; i < 1'000; ++i) {
        line.hex("key", UINT64_MAX);
    }
    EXPECT_LT(std::string_view{line.finish()}.size(), 520U);
}

}  // namespace
}  // namespace pv::plugin
