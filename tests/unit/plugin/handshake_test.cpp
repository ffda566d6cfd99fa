// Which markers are believed.
// SPDX-License-Identifier: MIT
#include "plugin/handshake.hpp"

#include <gtest/gtest.h>

namespace pv::plugin {
namespace {

using Answer = Handshake::Answer;

TEST(PluginHandshake, AHelloOfThisMajorVersionOpens) {
    Handshake handshake;
    EXPECT_EQ(handshake.judge(PV_MARKER_hello, PV_MARKER_VERSION + 3), Answer::take);
    EXPECT_EQ(handshake.judge(PV_MARKER_dma_map, 0), Answer::take);
    EXPECT_EQ(handshake.judge(0x7abc, 0), Answer::take) << "a newer minor version may add numbers";
}

TEST(PluginHandshake, AnUnknownMajorVersionClosesForGood) {
    Handshake handshake;
    EXPECT_EQ(handshake.judge(PV_MARKER_hello, 2 << 16), Answer::refuse);
    EXPECT_EQ(handshake.judge(PV_MARKER_dma_map, 0), Answer::ignore);
    EXPECT_EQ(handshake.judge(PV_MARKER_hello, PV_MARKER_VERSION), Answer::ignore);
    EXPECT_EQ(handshake.judge(PV_MARKER_dma_map, 0), Answer::ignore);
}

TEST(PluginHandshake, WithoutHelloNothingIsTakenAndItIsSaidOnce) {
    Handshake handshake;
    EXPECT_EQ(handshake.judge(PV_MARKER_dma_map, 0), Answer::refuse);
    EXPECT_EQ(handshake.judge(PV_MARKER_dma_map, 0), Answer::ignore);
    EXPECT_EQ(handshake.judge(PV_MARKER_hello, PV_MARKER_VERSION), Answer::take);
    EXPECT_EQ(handshake.judge(PV_MARKER_dma_map, 0), Answer::take);
}

TEST(PluginHandshake, CountsArgumentsAsTheTableSays) {
    EXPECT_EQ(marker_arguments(PV_MARKER_hello), 5U);
    EXPECT_EQ(marker_arguments(PV_MARKER_goodbye), 1U);
    EXPECT_EQ(marker_arguments(PV_MARKER_dma_map), 6U);
    EXPECT_EQ(marker_arguments(0x7abc), 6U);
}

}  // namespace
}  // namespace pv::plugin
