// LEDGER H9: multi-function devices and devices behind bridges are found; bridges that lie do no harm.
// SPDX-License-Identifier: MIT
#include "device/pci/scan.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace pv::pci {
namespace {

class FakeBus final : public ConfigSpace {
  public:
    ~FakeBus() = default;

    struct Item {
        std::uint8_t header = 0;
        std::uint8_t secondary = 0;
    };

    std::uint32_t read(Address address, std::size_t offset, unsigned width) override {
        const auto found = items.find(address);
        if (found == items.end()) {
            return width == 4 ? 0xffffffff : (1U << width * 8) - 1;
        }
        switch (offset) {
            case 0x00:
                return 0x1b36;
            case 0x0e:
                return found->second.header;
            case 0x19:
                return found->second.secondary;
            default:
                return 0;
        }
    }

    void write(Address, std::size_t, unsigned, std::uint32_t) override {}

    std::map<Address, Item> items;
};

struct Scanned {
    std::vector<Address> found;
    ScanTotals totals;
};

Scanned run(FakeBus& bus, std::uint8_t last = 255) {
    Scanned result;
    result.totals = scan(bus, 0, 0, last, [&](const Found& found) { result.found.push_back(found.address); });
    return result;
}

TEST(Scan, MultiFunctionDevices) {
    FakeBus bus;
    bus.items[{0, 0, 3, 0}] = {0x80, 0};
    bus.items[{0, 0, 3, 7}] = {};
    bus.items[{0, 0, 4, 0}] = {};
    bus.items[{0, 0, 4, 1}] = {};  // not announced as multi-function: not there
    bus.items[{0, 0, 5, 2}] = {};  // no function 0: not there
    EXPECT_EQ(run(bus).found, (std::vector<Address>{{0, 0, 3, 0}, {0, 0, 3, 7}, {0, 0, 4, 0}}));
}

TEST(Scan, BehindBridgesOfBridges) {
    FakeBus bus;
    bus.items[{0, 0, 1, 0}] = {1, 7};
    bus.items[{0, 7, 0, 0}] = {1, 2};
    bus.items[{0, 2, 0, 0}] = {};
    const auto result = run(bus);
    EXPECT_EQ(result.totals.functions, 3U);
    EXPECT_EQ(result.totals.buses, 3U);
    EXPECT_EQ(result.found.back(), (Address{0, 2, 0, 0}));
}

TEST(Scan, BridgesThatLeadBackOrNowhere) {
    FakeBus bus;
    bus.items[{0, 0, 1, 0}] = {1, 0};  // to itself
    bus.items[{0, 0, 2, 0}] = {1, 3};
    bus.items[{0, 0, 3, 0}] = {1, 3};    // a second way to the same bus
    bus.items[{0, 3, 0, 0}] = {1, 0};    // back up
    bus.items[{0, 0, 4, 0}] = {1, 200};  // beyond the range
    const auto result = run(bus, 100);
    EXPECT_EQ(result.totals.functions, 5U);
    EXPECT_EQ(result.totals.refused_bridges, 4U);
}

}  // namespace
}  // namespace pv::pci
