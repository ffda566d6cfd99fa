// Devices by the names of their regions, and a machine that starts anew.
// SPDX-License-Identifier: MIT
#include "ownership/tracker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "machine.hpp"

namespace pv::ownership::test {
namespace {

TEST(OwnershipTracker, RegionsAreKnownByTheirNames) {
    EXPECT_EQ(region_of("nvme"), Region::nvme);
    EXPECT_EQ(region_of("virtio-pci-common-virtio-blk"), Region::virtio);
    EXPECT_EQ(region_of("virtio-pci-common-virtio-iommu"), Region::virtio_iommu);
    EXPECT_EQ(region_of("intel_iommu"), Region::vtd);
    for (const char* other :
         {"", "nvme-cmb", "virtio-pci-notify-virtio-blk", "apic-msi", "virtio-pci-common"}) {
        EXPECT_EQ(region_of(other), Region::other) << other;
    }
}

TEST(OwnershipTracker, AMachineThatStartsAnewOwnsNothing) {
    constexpr std::uint64_t bar = 0xfebf'0000, admin = 0x10000;
    Machine machine;
    const auto start = [&] {
        machine.write(Region::nvme, bar + 0x24, 7 << 16 | 7);
        machine.write(Region::nvme, bar + 0x28, admin);
        machine.write(Region::nvme, bar + 0x30, admin + 0x1000);
        machine.write(Region::nvme, bar + 0x14, 1);
    };
    start();
    machine.put(admin, std::uint8_t{6});
    machine.put(admin + 24, std::uint64_t{0x20000});
    machine.write(Region::nvme, bar + 0x1000, 1);
    machine.load(0x20000, 8);
    EXPECT_EQ(machine.told().size(), 2U);
    machine.tracker.reset();
    EXPECT_FALSE(machine.tracker.loads_matter());
    machine.load(0x20008, 8);
    machine.store(admin, std::uint8_t{6});
    EXPECT_TRUE(machine.told().empty());
    start();
    machine.write(Region::nvme, bar + 0x1000, 1);
    machine.load(0x20000, 8);
    EXPECT_EQ(machine.told().size(), 2U);
}

TEST(OwnershipTracker, AnotherDeviceMayTakeThePlaceOfRegisters) {
    constexpr std::uint64_t bar = 0xfebf'0000, table = 0x10000, driver = 0x11000, used = 0x12000;
    Machine machine;
    machine.write(Region::nvme, bar + 0x14, 0);
    for (const auto& [offset, value] : {std::pair{0x14, 3},
                                        {0x18, 8},
                                        {0x20, 0x10000},
                                        {0x28, 0x11000},
                                        {0x30, 0x12000},
                                        {0x1c, 1},
                                        {0x14, 0xf}}) {
        machine.write(Region::virtio, bar + static_cast<std::uint64_t>(offset),
                      static_cast<std::uint64_t>(value));
    }
    machine.put(table, std::uint64_t{0x20000});
    machine.put(table + 8, std::uint64_t{2} << 32 | 512);  // written by the device
    machine.store(driver + 2, std::uint16_t{1});
    machine.put(used + 2, std::uint16_t{1});
    machine.load(0x20000, 8);
    EXPECT_TRUE(machine.told().empty());  // it is done: this device's ring says so
    EXPECT_EQ(machine.tracker.totals().commands, 1U);
}

TEST(OwnershipTracker, ArbitraryStoresToArbitraryRegistersAreSurvived) {
    std::mt19937_64 random{7};
    Machine machine;
    for (std::byte& byte : machine.bytes) {
        byte = static_cast<std::byte>(random());
    }
    for (unsigned step = 0; step < 20'000; ++step) {
        const auto region = static_cast<Region>(random() % 5);
        const std::uint64_t bar = 0xfeb0'0000 + 0x4000 * (random() % 4);
        const std::uint64_t offset = random() % 3 == 0 ? 0x1000 + 4 * (random() % 16) : random() % 0x40;
        const std::uint64_t value = random() % 2 == 0 ? random() % Machine::size : random() % 16;
        machine.write(region, bar + offset, value, std::size_t{1} << random() % 4);
        machine.read(region, bar + offset, value, 2);
        machine.store(random() % (Machine::size / 8) * 8, random());
        machine.load(random() % (Machine::size / 8) * 8, 8);
    }
    EXPECT_LE(machine.tracker.totals().races, 1'000'000U);
}

}  // namespace
}  // namespace pv::ownership::test
