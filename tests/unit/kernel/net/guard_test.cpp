// An invariant of lwIP's that breaks ends the network, and nothing else. A process of its own: it is for
// good.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "hosted/control.hpp"
#include "net/port/hooks.h"
#include "net/port/port.hpp"

namespace pv::net::port {
namespace {

TEST(Guard, a_broken_invariant_is_left_where_it_broke) {
    bool before = false;
    bool after = false;
    EXPECT_TRUE(guarded([&] { before = true; }));
    EXPECT_FALSE(guarded([&] {
        pv_lwip_assertion("nothing is wrong", "/somewhere/ip.c", 7);
        after = true;
    }));
    EXPECT_TRUE(before);
    EXPECT_FALSE(after);
    EXPECT_TRUE(broken());
    EXPECT_FALSE(guarded([&] { after = true; })) << "lwIP was called again";
    EXPECT_FALSE(after);
    const auto lines = hosted::take_log();
    ASSERT_FALSE(lines.empty());
    EXPECT_NE(lines.back().find("lwIP's invariant 'nothing is wrong' does not hold (ip.c:7)"),
              std::string::npos);
}

TEST(PacketMemory, is_bounded_and_given_back) {
    const Memory before = memory();
    void* most = pv_lwip_allocate(memory_limit - before.used);
    ASSERT_NE(most, nullptr);
    EXPECT_EQ(pv_lwip_allocate(1), nullptr);
    EXPECT_EQ(memory().refused, before.refused + 1);
    pv_lwip_free(most);
    EXPECT_EQ(memory().used, before.used);
    void* one = pv_lwip_allocate_zeroed(3, 5);
    ASSERT_NE(one, nullptr);
    EXPECT_EQ(static_cast<char*>(one)[14], 0);
    pv_lwip_free(one);
    EXPECT_EQ(pv_lwip_allocate_zeroed(~std::size_t{0}, 2), nullptr);
}

}  // namespace
}  // namespace pv::net::port
