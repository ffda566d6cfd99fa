// A virtio device's chains: whose the bytes are, from the available ring to the used one.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine.hpp"

namespace pv::ownership::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags, next;
};

enum : std::uint16_t { next = 1, writes = 2, indirect = 4 };

class OwnershipVirtio : public testing::Test {
  protected:
    static constexpr std::uint64_t common = 0xfebf'8000;
    static constexpr std::uint64_t table = 0x10000, driver = 0x11000, used = 0x12000;
    static constexpr std::uint64_t header = 0x13000, status = 0x13010, data = 0x20000, tables = 0x14000;
    static constexpr std::uint16_t entries = 8;

    void SetUp() override { start(); }

    void start(std::uint64_t features = std::uint64_t{1} << 32, bool writes_size = true) {
        machine.write(Region::virtio, common + 0x14, 0, 1);
        machine.write(Region::virtio, common + 0x14, 3, 1);
        for (const std::uint32_t page : {0U, 1U}) {
            machine.write(Region::virtio, common + 0x08, page);
            machine.write(Region::virtio, common + 0x0c, features >> (32 * page) & 0xffff'ffff);
        }
        machine.write(Region::virtio, common + 0x16, 0, 2);
        machine.read(Region::virtio, common + 0x18, writes_size ? 256 : entries, 2);
        if (writes_size) {
            machine.write(Region::virtio, common + 0x18, entries, 2);
        }
        machine.write(Region::virtio, common + 0x20, table);
        machine.write(Region::virtio, common + 0x24, 0);
        machine.write(Region::virtio, common + 0x28, driver, 8);
        machine.write(Region::virtio, common + 0x30, used);
        machine.write(Region::virtio, common + 0x1c, 1, 2);
        machine.write(Region::virtio, common + 0x14, 0xf, 1);
        machine.put(driver + 2, std::uint16_t{0});
        machine.put(used + 2, std::uint16_t{0});
        available = ended = 0;
    }

    /// A read's chain in the descriptors from `first` on; the index is stored last.
    void offer(std::uint16_t first = 0) {
        const auto second = static_cast<std::uint16_t>(first + 1);
        const auto third = static_cast<std::uint16_t>(first + 2);
        machine.store(table + 16ULL * first, Descriptor{header, 16, next, second});
        machine.store(table + 16ULL * second, Descriptor{data, 4096, next | writes, third});
        machine.store(table + 16ULL * third, Descriptor{status, 1, writes, 0});
        publish(first);
    }

    void publish(std::uint16_t head) {
        machine.store(driver + 4 + 2ULL * (available % entries), head);
        machine.store(driver + 2, ++available);
    }

    void use(std::uint32_t head) {
        machine.put(used + 4 + 8ULL * (ended % entries), std::uint64_t{head});
        machine.put(used + 2, ++ended);
    }

    Machine machine;
    std::uint16_t available = 0, ended = 0;
};

TEST_F(OwnershipVirtio, AChainIsTheDevicesUntilItIsUsed) {
    offer();
    machine.load(header, 8);  // the device only reads it
    machine.load(status + 1, 1);
    EXPECT_THAT(machine.told(), IsEmpty());
    machine.store(header, std::uint32_t{0});
    machine.load(data, 8);
    machine.load(status, 1);
    machine.store(table + 16, std::uint64_t{0});
    EXPECT_THAT(machine.told(),
                ElementsAre(HasSubstr("command 0 0 given by 256"), HasSubstr("store to"),
                            HasSubstr("load from of 0 at 131072"), HasSubstr("load from of 0 at 77840"),
                            HasSubstr("store descriptor of 0 at 65552")));
    use(0);
    machine.load(data + 8, 8);
    machine.store(table, std::uint64_t{0});
    machine.store(header, std::uint32_t{0});
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipVirtio, NothingIsGivenBeforeTheIndexSaysSo) {
    machine.store(table, Descriptor{data, 4096, writes, 0});
    machine.store(driver + 4, std::uint16_t{0});
    machine.load(data, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
    machine.store(driver + 2, ++available);
    machine.load(data, 8);
    EXPECT_EQ(machine.told().size(), 2U);
}

TEST_F(OwnershipVirtio, AnIndirectTableIsOwnedToo) {
    machine.put(tables, Descriptor{header, 16, next, 1});
    machine.put(tables + 16, Descriptor{data, 4096, writes, 0});
    machine.store(table, Descriptor{tables, 32, indirect, 0});
    publish(0);
    machine.store(tables + 16, std::uint64_t{0});
    machine.load(data, 8);
    machine.store(table, std::uint64_t{0});
    EXPECT_THAT(machine.told(), ElementsAre(HasSubstr("command"), HasSubstr("store list"),
                                            HasSubstr("load from"), HasSubstr("store descriptor")));
    machine.store(tables + 32, std::uint64_t{0});
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipVirtio, ChainsGoAroundWithoutAWord) {
    for (unsigned i = 0; i < 70'000; ++i) {
        offer(i % 2 == 0 ? 0 : 3);
        use(i % 2 == 0 ? 0 : 3);
        machine.load(data, 8);
    }
    EXPECT_THAT(machine.told(), IsEmpty());
    EXPECT_EQ(machine.tracker.totals().commands, 70'000U);
}

TEST_F(OwnershipVirtio, AUseThatIsSeenBeforeItsIndexLeavesNothingOwned) {
    offer(0);
    machine.put(table + 16 * 4, Descriptor{0x50000, 512, writes, 0});
    machine.put(driver + 4 + 2, std::uint16_t{4});
    use(4);
    machine.load(data, 1);  // looks at what was used
    machine.told();
    machine.store(driver + 2, ++ ++available);
    machine.load(0x50000, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipVirtio, ADriverMayBeContentWithTheSizeItFinds) {
    start(std::uint64_t{1} << 32, false);
    for (unsigned i = 0; i < 20; ++i) {
        offer();
        use(0);
    }
    offer();
    machine.load(data, 1);
    EXPECT_EQ(machine.told().size(), 2U);
}

TEST_F(OwnershipVirtio, ResetsOfDeviceAndQueueGiveEverythingBack) {
    offer();
    machine.write(Region::virtio, common + 0x3a, 1, 2);
    machine.load(data, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
    start();
    offer();
    machine.write(Region::virtio, common + 0x14, 0, 1);
    machine.load(data, 8);
    machine.store(driver + 2, std::uint16_t{5});
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipVirtio, RingsOfAnotherFormAreSaidNotToBeFollowed) {
    start(std::uint64_t{5} << 32);  // packed
    EXPECT_THAT(machine.told(), ElementsAre("unseen " + std::to_string(common) + " 4"));
    offer();
    machine.load(data, 8);
    EXPECT_THAT(machine.told(), IsEmpty());
}

TEST_F(OwnershipVirtio, ADeviceThatGoesAroundTheIommuIsFollowed) {
    machine.write(Region::virtio_iommu, 0xfebf'c014, 4, 1);
    start();
    offer();
    machine.load(data, 8);
    EXPECT_EQ(machine.told().size(), 2U);
    start(std::uint64_t{3} << 32);  // VIRTIO_F_ACCESS_PLATFORM
    EXPECT_THAT(machine.told(), ElementsAre("unseen " + std::to_string(common) + " 3"));
}

TEST_F(OwnershipVirtio, HostileRingsEndSomewhere) {
    machine.store(table, Descriptor{~std::uint64_t{0} - 8, 0xffff'ffff, next | writes, 0});  // a loop
    publish(0);
    publish(0xffff);
    machine.store(driver + 2, static_cast<std::uint16_t>(available + 5000));
    machine.put(used + 2, std::uint16_t{40'000});
    machine.load(data, 8);
    machine.store(used + 2, std::uint16_t{1});
    SUCCEED();
}

}  // namespace
}  // namespace pv::ownership::test
