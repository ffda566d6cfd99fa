// Capability lists, sound and lying.
// SPDX-License-Identifier: MIT
#include "device/pci/capability.hpp"

#include <gtest/gtest.h>

#include "fake_config.hpp"

namespace pv::pci {
namespace {

TEST(CapabilityWalk, FollowsASoundList) {
    FakeConfig config;
    config.set_capabilities({{0x40, 0x10}, {0x98, 0x09}, {0x50, 0x11}});
    const Function function{config, Address{}};
    CapabilityWalk walk{function};
    EXPECT_EQ(walk.next()->offset, 0x40);
    EXPECT_EQ(walk.next()->id, CapabilityId::vendor);
    EXPECT_EQ(walk.next()->id, CapabilityId::msix);
    EXPECT_FALSE(walk.next());
    EXPECT_FALSE(walk.malformed());
    EXPECT_EQ(find_capability(function, CapabilityId::msix)->offset, 0x50);
}

TEST(CapabilityWalk, NoListWithoutTheStatusBit) {
    FakeConfig config;
    config.set_capabilities({{0x40, 0x10}});
    config.put16(0x06, 0);
    const Function function{config, Address{}};
    EXPECT_FALSE(CapabilityWalk{function}.next());
}

TEST(CapabilityWalk, LoopsEnd) {
    for (const std::uint8_t back : std::initializer_list<std::uint8_t>{0x40, 0x50, 0x60}) {
        FakeConfig config;
        config.set_capabilities({{0x40, 0x05}, {0x50, 0x05}, {0x60, 0x05}});
        config.put8(0x61, back);
        const Function function{config, Address{}};
        CapabilityWalk walk{function};
        int found = 0;
        while (walk.next()) {
            ASSERT_LE(++found, 3);
        }
        EXPECT_EQ(found, 3);
        EXPECT_TRUE(walk.malformed());
        EXPECT_FALSE(find_capability(function, CapabilityId::msix));
    }
}

TEST(CapabilityWalk, PointerIntoTheHeaderEndsIt) {
    FakeConfig config;
    config.set_capabilities({{0x40, 0x05}});
    config.put8(0x41, 0x10);
    const Function function{config, Address{}};
    CapabilityWalk walk{function};
    EXPECT_TRUE(walk.next());
    EXPECT_FALSE(walk.next());
    EXPECT_TRUE(walk.malformed());
}

TEST(CapabilityWalk, EveryPossiblePointerTerminates) {
    for (unsigned first = 0; first < 256; ++first) {
        for (unsigned second = 0; second < 256; ++second) {
            FakeConfig config;
            config.put16(0x06, 0x10);
            config.put8(0x34, static_cast<std::uint8_t>(first));
            for (unsigned i = 0x40; i < 0x100; i += 4) {
                config.put8(i + 1, static_cast<std::uint8_t>(second + i));
            }
            const Function function{config, Address{}};
            CapabilityWalk walk{function};
            int found = 0;
            while (walk.next()) {
                ASSERT_LE(++found, 48);
            }
        }
    }
}

TEST(CapabilityWalk, FunctionThatWentAwayEndsIt) {
    FakeConfig config;
    config.set_capabilities({{0x40, 0xff}});
    const Function function{config, Address{}};
    EXPECT_FALSE(CapabilityWalk{function}.next());
}

}  // namespace
}  // namespace pv::pci
