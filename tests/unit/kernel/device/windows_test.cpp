// Registers that the bridges above a function do not lead on to are nobody's.
// SPDX-License-Identifier: MIT
#include "device/pci/windows.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>

namespace pv::pci {
namespace {

class Bridges final : public ConfigSpace {
  public:
    ~Bridges() = default;

    std::uint32_t read(Address address, std::size_t offset, unsigned width) override {
        std::uint32_t value = 0xffffffff;
        const auto found = functions.find(address);
        if (offset == 0x19 && fickle && address == *fickle) {
            return asked++ == 0 ? 9 : 5;
        }
        if (found != functions.end() && offset + width <= found->second.size()) {
            value = 0;
            std::memcpy(&value, found->second.data() + offset, width);
        }
        return width == 4 ? value : value & ((1U << width * 8) - 1);
    }

    void write(Address, std::size_t, unsigned, std::uint32_t) override {}

    /// Windows in megabytes, both ends within them; of prefetchable memory from 32 GiB on.
    void bridge(Address at, std::uint8_t to, std::uint16_t base, std::uint16_t limit,
                std::uint16_t prefetchable_base = 1, std::uint16_t prefetchable_limit = 0) {
        auto& bytes = functions[at];
        bytes[0] = bytes[1] = 0x36;
        bytes[0x0e] = 1;
        bytes[0x19] = to;
        const auto put = [&](std::size_t offset, std::uint16_t megabytes) {
            const auto value = static_cast<std::uint16_t>(megabytes << 4 | 1);  // the lowest bits say 64 bits
            std::memcpy(bytes.data() + offset, &value, sizeof value);
        };
        put(0x20, base);
        put(0x22, limit);
        put(0x24, prefetchable_base);
        put(0x26, prefetchable_limit);
        bytes[0x28] = bytes[0x2c] = 8;
    }

    bool leads(std::uint8_t bus, std::uint64_t address, std::uint64_t size) {
        functions[{0, bus, 0, 0}][0] = 0x36;
        return is_led_to(Function{*this, {0, bus, 0, 0}}, {PhysicalAddress{address}, size, false});
    }

    std::map<Address, std::array<std::uint8_t, 64>> functions;
    const Address* fickle = nullptr;  ///< says another bus at first than later
    int asked = 0;
};

TEST(BridgeWindows, ABarLiesWithinThem) {
    Bridges bridges;
    bridges.bridge({0, 0, 1, 0}, 1, 0xfe8, 0xfe9);
    EXPECT_TRUE(bridges.leads(1, 0xfe800000, 0x4000));
    EXPECT_TRUE(bridges.leads(1, 0xfe9fc000, 0x4000));
    EXPECT_TRUE(bridges.leads(1, 0xfe800000, 0x200000));
    EXPECT_FALSE(bridges.leads(1, 0xfe7ff000, 0x1000));
    EXPECT_FALSE(bridges.leads(1, 0xfea00000, 0x1000));
    EXPECT_FALSE(bridges.leads(1, 0xfe800000, 0x400000));
    EXPECT_TRUE(bridges.leads(0, 0xfea00000, 0x1000)) << "on the root bus there is no bridge";
    EXPECT_TRUE(bridges.leads(9, 0xfea00000, 0x1000)) << "another root's bus";
}

TEST(BridgeWindows, PrefetchableOnesHaveSixtyFourBits) {
    Bridges bridges;
    bridges.bridge({0, 0, 1, 0}, 1, 0xfff, 0, 0x100, 0x101);  // the first leads nothing on
    EXPECT_TRUE(bridges.leads(1, 0x8'1000'0000, 0x200000));
    EXPECT_FALSE(bridges.leads(1, 0x1000'0000, 0x1000));
    EXPECT_FALSE(bridges.leads(1, 0xfff00000, 0x1000));
}

TEST(BridgeWindows, EveryBridgeOnTheWayHasToLeadOn) {
    Bridges bridges;
    bridges.bridge({0, 0, 1, 0}, 7, 0xfe8, 0xfe8);
    bridges.bridge({0, 7, 0, 0}, 2, 0xfe8, 0xfe9);
    EXPECT_TRUE(bridges.leads(2, 0xfe800000, 0x1000));
    EXPECT_FALSE(bridges.leads(2, 0xfe900000, 0x1000));
}

TEST(BridgeWindows, BridgesThatLeadBackEnd) {
    Bridges bridges;
    bridges.bridge({0, 0, 1, 0}, 1, 0xfe8, 0xfe8);
    bridges.bridge({0, 1, 1, 0}, 1, 0xfe8, 0xfe8);
    bridges.bridge({0, 1, 2, 0}, 2, 0xfe8, 0xfe8);
    bridges.bridge({0, 2, 1, 0}, 1, 0xfe8, 0xfe8);
    EXPECT_TRUE(bridges.leads(2, 0xfe800000, 0x1000));
    // The way up says its bus to one question only; a bridge on that bus then claims to lead there.
    Bridges liars;
    const Address first{0, 0, 1, 0};
    liars.fickle = &first;
    liars.bridge(first, 5, 0xfe8, 0xfe8);
    liars.bridge({0, 5, 1, 0}, 5, 0xfe8, 0xfe8);
    EXPECT_TRUE(liars.leads(5, 0xfe800000, 0x1000));
}

}  // namespace
}  // namespace pv::pci
