// virtio-blk chains as a device would read them, direct and indirect, in one and in many segments.
// SPDX-License-Identifier: MIT
#include "device/virtio/request_ring.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pv::virtio {
namespace {

struct Part {
    std::uint64_t address;
    std::uint32_t length;
    bool writes;
};

class Fixture {
  public:
    Fixture(std::size_t entries, bool indirect, std::uint32_t segment_limit, std::uint32_t size_limit)
        : shape{*request_shape(entries, indirect, segment_limit, size_limit, 128)},
          table(SplitRing::table_bytes(entries)),
          available(SplitRing::available_bytes(entries)),
          used(SplitRing::used_bytes(entries)),
          headers(shape.slots * sizeof(RequestHead)),
          statuses(shape.slots),
          tables(shape.slots * shape.chain() * 16),
          ring{*SplitRing::create(table, available, used, entries),
               shape,
               {{headers, BusAddress{0x10000}},
                {statuses, BusAddress{0x20000}},
                {tables, BusAddress{0x30000}}}} {}

    /// Follows the chain as a device does.
    std::vector<Part> chain(std::size_t head) {
        const auto* descriptors = reinterpret_cast<const Descriptor*>(table.data());
        std::size_t index = head;
        if (descriptors[head].flags & Descriptor::flag_indirect) {
            EXPECT_EQ(descriptors[head].length % 16, 0U);
            descriptors =
                reinterpret_cast<const Descriptor*>(tables.data() + (descriptors[head].address - 0x30000));
            index = 0;
        }
        std::vector<Part> parts;
        while (true) {
            const Descriptor& one = descriptors[index];
            parts.push_back({one.address, one.length, (one.flags & Descriptor::flag_device_writes) != 0});
            if ((one.flags & Descriptor::flag_next) == 0 || parts.size() > 1000) {
                return parts;
            }
            index = one.next;
        }
    }

    RequestShape shape;
    std::vector<std::byte> table, available, used, headers, statuses, tables;
    RequestRing ring;
};

TEST(RequestRing, EverySlotIsAChainOfItsOwn) {
    for (bool indirect : {true, false}) {
        Fixture fixture{32, indirect, 4, 1024};
        ASSERT_GT(fixture.shape.slots, 1U);
        for (std::size_t slot = 0; slot < fixture.shape.slots; ++slot) {
            ASSERT_TRUE(fixture.ring.write(slot, BlockRequest::read, 100 + slot,
                                           {BusAddress{0x100000 + slot * 0x10000}, 3072, true}));
        }
        for (std::size_t slot = 0; slot < fixture.shape.slots; ++slot) {
            const auto parts = fixture.chain(slot);
            ASSERT_EQ(parts.size(), 5U);
            EXPECT_EQ(parts[0].address, 0x10000 + slot * sizeof(RequestHead));
            EXPECT_FALSE(parts[0].writes);
            for (std::size_t i = 1; i < 4; ++i) {
                EXPECT_EQ(parts[i].address, 0x100000 + slot * 0x10000 + (i - 1) * 1024);
                EXPECT_EQ(parts[i].length, 1024U);
                EXPECT_TRUE(parts[i].writes);
            }
            EXPECT_EQ(parts[4].address, 0x20000 + slot);
            EXPECT_EQ(parts[4].length, 1U);
            EXPECT_TRUE(parts[4].writes);
            const auto* head = reinterpret_cast<const RequestHead*>(fixture.headers.data()) + slot;
            EXPECT_EQ(head->header.sector.get(), 100 + slot);
            EXPECT_EQ(fixture.ring.status(slot), 0xff);
        }
    }
}

TEST(RequestRing, FlushHasNoData) {
    Fixture fixture{8, true, 0, 0};
    ASSERT_TRUE(fixture.ring.write(1, BlockRequest::flush, 0, {}));
    EXPECT_EQ(fixture.chain(1).size(), 2U);
}

TEST(RequestRing, RefusesWhatDoesNotFit) {
    Fixture fixture{8, true, 2, 512};
    EXPECT_FALSE(fixture.ring.write(0, BlockRequest::write, 0, {BusAddress{0x1000}, 1025, false}));
    EXPECT_FALSE(fixture.ring.write(fixture.shape.slots, BlockRequest::flush, 0, {}));
}

TEST(RequestShape, LimitsOfDevices) {
    EXPECT_EQ(request_shape(256, true, 254, 0, 128)->transfer(), std::size_t{1} << 20);
    EXPECT_EQ(request_shape(256, true, 254, 0, 128)->slots, 128U);
    EXPECT_EQ(request_shape(256, false, 0, 0, 128)->slots, 85U);
    EXPECT_EQ(request_shape(256, true, 254, 1000, 128)->segment_bytes, 512U);
    EXPECT_FALSE(request_shape(2, false, 0, 0, 128));
    EXPECT_FALSE(request_shape(0, false, 0, 0, 128));
    EXPECT_FALSE(request_shape(256, true, 254, 511, 128));
}

}  // namespace
}  // namespace pv::virtio
