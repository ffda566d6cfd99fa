// Queues from their markers: made, rung, forgotten, and why some are not decoded.
// SPDX-License-Identifier: MIT
#include "plugin/queues.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "ring_support.hpp"

namespace pv::plugin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using trace::RingUnseen;
using Args = std::array<std::uint64_t, 6>;

class PluginQueues : public testing::Test {
  protected:
    void mark(std::uint16_t marker, Args args) {
        if (Queues::concerns(marker, args)) {
            queues.on_marker(marker, args, log);
        }
    }

    void create(std::uint64_t number = 0, std::uint64_t entries = 8, std::uint64_t bdf = 0x80) {
        mark(PV_MARKER_queue_areas, {bdf, number, 0x2000, 0x3000});
        mark(PV_MARKER_queue_create, {bdf, PV_QUEUE_VIRTIO_SPLIT, number, entries, 0x1000});
    }

    void ring(std::uint64_t value, std::uint64_t number = 0) {
        mark(PV_MARKER_doorbell, {0x80, PV_QUEUE_VIRTIO_SPLIT, number, value});
    }

    std::vector<std::byte> ram = std::vector<std::byte>(64 << 10);
    int sought = 0;
    RingUnseen reason = RingUnseen::none;
    test::Log log;
    Queues queues{[this] {
        ++sought;
        return GuestMemory::Found{reason, GuestMemory{ram.data(), ram.size(), ram.size()}};
    }};
};

TEST_F(PluginQueues, DecodesOnceCreated) {
    ring(1);
    EXPECT_THAT(log.lines, IsEmpty()) << "nobody told of this queue";
    EXPECT_EQ(sought, 0);
    create();
    ring(1);
    ring(2);
    EXPECT_THAT(log.lines, ElementsAre("descriptor 0 0 0 0", "request 0 0 0 1", "descriptor 0 0 0 0",
                                       "request 0 0 0 1"));
    EXPECT_EQ(sought, 1);
}

TEST_F(PluginQueues, NvmeDoorbellsAreNotItsBusiness) {
    EXPECT_FALSE(Queues::concerns(PV_MARKER_doorbell, Args{0x80, PV_QUEUE_NVME_SUBMISSION, 1, 1}));
    EXPECT_FALSE(Queues::concerns(PV_MARKER_command_submit, Args{}));
    EXPECT_FALSE(Queues::concerns(PV_MARKER_dma_map, Args{0x80, 1, 0x1000, 0x1000}));
}

TEST_F(PluginQueues, DeletedResetAndReleasedQueuesAreForgotten) {
    for (const std::uint16_t end : {PV_MARKER_device_reset, PV_MARKER_device_release, PV_MARKER_device}) {
        create();
        mark(end, {0x80});
        ring(1);
        EXPECT_THAT(log.lines, IsEmpty());
    }
    create();
    mark(PV_MARKER_queue_delete, {0x80, PV_QUEUE_VIRTIO_SPLIT, 0});
    ring(1);
    EXPECT_THAT(log.lines, IsEmpty());
    create();
    mark(PV_MARKER_device_reset, {0x81});
    ring(1);
    EXPECT_EQ(log.lines.size(), 2U) << "another device's reset means nothing";
}

TEST_F(PluginQueues, ObstaclesAreSaidOnce) {
    reason = RingUnseen::no_memory;
    create();
    ring(1);
    ring(2);
    EXPECT_THAT(log.lines, ElementsAre("unseen 128 0 1"));
}

TEST_F(PluginQueues, TranslatedAddressesAreNotGuessedAt) {
    create();
    mark(PV_MARKER_dma_map, {0x80, 1, 0xfffff000, 0x5000, 4096, 3});
    ring(1);
    ring(2);
    EXPECT_THAT(log.lines, ElementsAre("unseen 128 0 3"));
}

TEST_F(PluginQueues, PackedMisshapenAndHalfMadeQueues) {
    mark(PV_MARKER_queue_create, {0x80, PV_QUEUE_VIRTIO_PACKED, 1, 8, 0x1000});
    create(2, 48);
    create(3, 0);
    create(4, 65'536);
    mark(PV_MARKER_queue_create, {0x80, PV_QUEUE_VIRTIO_SPLIT, 5, 8, 0x1000});
    EXPECT_THAT(log.lines, ElementsAre("unseen 128 1 4", "unseen 128 2 5", "unseen 128 3 5", "unseen 128 4 5",
                                       "unseen 128 5 6"));
}

TEST_F(PluginQueues, AnyNumberOfQueuesAndDevices) {
    for (std::uint64_t i = 0; i < 1'000; ++i) {
        mark(PV_MARKER_device, {i, PV_DEVICE_VIRTIO_BLK});
        create(i, 8, i);
    }
    EXPECT_EQ(log.lines.size(), 1'000 - Queues::most_queues);
    EXPECT_EQ(log.lines.back(), "unseen 999 999 7");
}

}  // namespace
}  // namespace pv::plugin
