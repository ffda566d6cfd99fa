// Arguments of the plugin: what is chosen, and that nothing misspelt is taken for silence.
// SPDX-License-Identifier: MIT
#include "plugin/options.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pv::plugin {
namespace {

std::expected<Options, std::string> parse(std::vector<const char*> arguments) {
    return parse_options(arguments);
}

TEST(PluginOptions, AllProbesByDefault) {
    EXPECT_EQ(parse({}), Options{});
}

TEST(PluginOptions, NamedProbesAreTheOnlyOnes) {
    EXPECT_EQ(parse({"probe=markers"}), (Options{.markers = true, .control = false, .rings = false}));
    EXPECT_EQ(parse({"probe=markers", "rings=on"}),
              (Options{.markers = true, .control = false, .rings = true}));
    EXPECT_EQ(parse({"probe=markers", "probe=control"}),
              (Options{.markers = true, .control = true, .rings = false}));
    EXPECT_EQ(parse({"probe=rings,markers"}), (Options{.markers = true, .control = false, .rings = true}));
    EXPECT_EQ(parse({"probe=control,instructions"}),
              (Options{.markers = false, .control = true, .rings = false, .instructions = true}));
}

TEST(PluginOptions, ProbesThatCostAreOnWhenNamed) {
    EXPECT_EQ(parse({"probe=tlb", "grace=0"}),
              (Options{.markers = false, .control = false, .rings = false, .tlb = true, .grace = 0}));
    EXPECT_EQ(parse({"grace=100000"})->grace, 100'000U);
    EXPECT_EQ(parse({"probe=markers", "ownership=on"}),
              (Options{.markers = true, .control = false, .rings = false, .ownership = true}));
    for (const char* bad : {"grace=", "grace=-1", "grace=1s", "grace=100001", "grace=99999999999999999999"}) {
        EXPECT_FALSE(parse({"probe=tlb", bad})) << bad;
    }
}

TEST(PluginOptions, MistakesAreErrors) {
    for (const char* bad : {"probe=", "probe=marker", "probe", "prob=markers", "markers=on", "rings", "",
                            "probe=markers,", "probe=rings"}) {
        const auto options = parse({bad});
        ASSERT_FALSE(options) << bad;
        EXPECT_NE(options.error().find("markers, control, rings"), std::string::npos) << options.error();
    }
    EXPECT_FALSE(parse({"probe=markers", "rings=off"}));
    EXPECT_FALSE(parse({"probe=markers", "unknown=on"}));
}

}  // namespace
}  // namespace pv::plugin
