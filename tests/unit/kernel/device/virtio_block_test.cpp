// The virtio-blk driver against devices of many shapes, and against devices that lie: each lie is said,
// counted, and ended by a reset; nonsense is refused when the device is taken.
// SPDX-License-Identifier: MIT
#include "device/virtio/block.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "virtio_machine.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

class VirtioBlockTest : public VirtioMachine {};

/// Each with split and with packed rings, direct and indirect, with event indexes and without.
class VirtioRingsTest : public VirtioMachine, public testing::WithParamInterface<std::uint64_t> {
  protected:
    static constexpr std::uint64_t of_rings =
        Feature::ring_packed | Feature::indirect_descriptors | Feature::event_index;

    void serve(FakeShape shape = {}) {
        shape.features = (fake_features & ~of_rings) | GetParam();
        bring_up(shape);
        EXPECT_EQ(fake_->driver_features(), shape.features) << "all of it is taken";
    }
};

TEST_P(VirtioRingsTest, DataGoesThereAndBackFromSeveralThreads) {
    // Long, so that a busy host is no fault; a doorbell or an interrupt that is missed costs all of it.
    patience_.command = 40_s;
    ASSERT_TRUE(hosted::set_cpu_count(2));
    serve({.entries = 16});
    const Instant begun = now();
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (unsigned i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] {
            hosted::run_as_cpu(i % 2);
            for (std::uint64_t round = 0; round < 120; ++round) {
                const std::uint64_t first = (std::uint64_t{i} * 120 + round) * 3;
                const std::size_t length = (1 + round % 3) * sector_size;
                const auto byte = static_cast<std::byte>(i * 80 + round % 80);
                const dma::Pages pages = *dma::Pages::allocate(length);
                std::ranges::fill(pages.bytes(), byte);
                wrong += disk().write(first, {pages, 0, length}, within(60_s)) ? 0 : 1;
                std::ranges::fill(pages.bytes(), std::byte{0xee});
                wrong += disk().read(first, {pages, 0, length}, within(60_s)) ? 0 : 1;
                const auto data = pages.bytes().first(length);
                wrong += std::ranges::all_of(data, [&](std::byte b) { return b == byte; }) ? 0 : 1;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong, 0) << log();
    EXPECT_LT(now() - begun, 40_s) << "a doorbell or an interrupt was missed";
    EXPECT_EQ(disk().counts().timed_out, 0U);
    EXPECT_EQ(fake_->resets, 0U);
    EXPECT_EQ(fake_->used_queues(), (std::set<std::uint16_t>{0, 1}));
}

TEST_P(VirtioRingsTest, DiscardAndWriteZeroesCarryARange) {
    serve();
    write(100, 40);
    ASSERT_NE(disk().geometry().zero_blocks, 0U);
    ASSERT_NE(disk().geometry().discard_blocks, 0U);
    EXPECT_TRUE(disk().write_zeroes(100, 20, within(10_s)));
    EXPECT_EQ(fake_->content(100 * sector_size + 1), std::byte{});
    EXPECT_EQ(fake_->content(119 * sector_size + 511), std::byte{});
    EXPECT_NE(fake_->content(120 * sector_size + 3), std::byte{});
    EXPECT_TRUE(disk().discard(120, 20, within(10_s)));
    EXPECT_EQ(fake_->content(139 * sector_size + 511), std::byte{});
    // Longer than a range of the device's may be: in pieces.
    EXPECT_TRUE(disk().write_zeroes(0, 3000, within(10_s)));
    EXPECT_EQ(fake_->seen(BlockRequest::write_zeroes), 1U + 3U);
}

TEST_P(VirtioRingsTest, LengthThatCannotBeFailsTheRequestAndResetsTheDevice) {
    for (const FakeFate fate : {FakeFate::overfill, FakeFate::underfill}) {
        serve();
        write(10, 8);
        std::atomic<int> left = 1;
        fake_->judge([&](std::uint16_t, BlockRequest type, std::uint64_t) {
            return type == BlockRequest::read && left-- > 0 ? FakeAnswer{.fate = fate} : FakeAnswer{};
        });
        EXPECT_EQ(read(10, 8, 10_s).error(), Error::io);
        EXPECT_TRUE(read(10, 8, 10_s)) << "it serves afterwards";
        eventually([&] { return fake_->resets == 1; });
        settle();
        EXPECT_EQ(fake_->resets, 1U);
        EXPECT_EQ(markers().results(PV_MARKER_recovery_begin, 2).back(), std::uint64_t{PV_REASON_PROTOCOL});
        EXPECT_NE(log().find("where 4097 were due"), std::string::npos) << log();
        LoggedStatus lines;
        controller_->print_status(lines);
        EXPECT_NE(log().find("1 resets, 1 lies"), std::string::npos) << log();
        controller_->shut_down(within(1_s));
        controller_.reset();
    }
}

TEST_P(VirtioRingsTest, AnswersNobodyWaitsForTouchNothing) {
    patience_.command = 20_s;  // what is reset is reset for the lie
    serve();
    write(10, 8);
    // Slots are taken in turn: these are not the next ones.
    const std::vector<std::uint32_t> ids{15, 63, 64, 0x7fff, 0xffff};
    for (const std::uint32_t id : ids) {
        std::atomic<bool> release = false;
        fake_->judge([&](std::uint16_t, BlockRequest type, std::uint64_t) {
            return type == BlockRequest::read && !release ? FakeAnswer{.fate = FakeFate::hold} : FakeAnswer{};
        });
        const unsigned before = fake_->resets;
        // One request is out, so that the ring is looked at.
        std::thread reader{[&] { EXPECT_TRUE(read(10, 8, 10_s)) << log(); }};
        eventually([&] { return fake_->held() == 1; });
        release = true;
        fake_->lie(0, id, 1);
        reader.join();
        settle();
        EXPECT_EQ(fake_->resets, before + 1) << id;
    }
    EXPECT_GE(disk().counts().refused, ids.size());
    EXPECT_EQ(disk().counts().repeated, ids.size());
}

TEST_P(VirtioRingsTest, OneRequestAnsweredTwice) {
    serve();
    write(10, 8);
    // The device lives longer than this function does.
    fake_->judge(
        [answered = std::make_shared<std::atomic<bool>>(false)](std::uint16_t, BlockRequest, std::uint64_t) {
            return answered->exchange(true) ? FakeAnswer{} : FakeAnswer{.fate = FakeFate::twice};
        });
    EXPECT_TRUE(read(10, 8, 10_s));
    // Alone it is not even looked at; behind another request it is refused.
    EXPECT_TRUE(read(10, 8, 10_s));
    EXPECT_TRUE(read(10, 8, 10_s));
    settle();
    EXPECT_TRUE(read(10, 8, 10_s));
    EXPECT_LE(fake_->resets, 2U);
}

std::string ring_name(const testing::TestParamInfo<std::uint64_t>& ring) {
    return std::string((ring.param & Feature::ring_packed) != 0 ? "Packed" : "Split") +
           ((ring.param & Feature::indirect_descriptors) != 0 ? "Indirect" : "Direct") +
           ((ring.param & Feature::event_index) != 0 ? "Events" : "Flags");
}

INSTANTIATE_TEST_SUITE_P(
    Rings, VirtioRingsTest,
    testing::Values(0, Feature::indirect_descriptors, Feature::indirect_descriptors | Feature::event_index,
                    Feature::ring_packed, Feature::ring_packed | Feature::indirect_descriptors,
                    Feature::ring_packed | Feature::event_index,
                    Feature::ring_packed | Feature::indirect_descriptors | Feature::event_index),
    ring_name);

TEST_F(VirtioBlockTest, UsedIndexThatJumpsLeadsToAReset) {
    bring_up();
    write(10, 8);
    for (const std::uint16_t by :
         {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{64}, std::uint16_t{32768}}) {
        const unsigned before = fake_->resets;
        fake_->jump(0, by);
        eventually([&] { return fake_->resets == before + 1; });
        EXPECT_EQ(fake_->resets, before + 1) << by;
        EXPECT_TRUE(read(10, 8, 10_s)) << log();
    }
}

TEST_F(VirtioBlockTest, OptionsChooseTheRing) {
    options_ = {.packed = false, .event_index = false};
    bring_up({.features = fake_features | Feature::ring_packed});
    EXPECT_EQ(fake_->driver_features() & (Feature::ring_packed | Feature::event_index), 0U);
    write(0, 8);
    EXPECT_TRUE(read(0, 8, 10_s));
}

TEST_F(VirtioBlockTest, QueuesForEachCpuOrAsManyAsThereAre) {
    struct Case {
        unsigned cpus;
        FakeShape shape;
        std::size_t queues;
    };

    for (const Case& one : std::vector<Case>{
             {.cpus = 4, .shape = {.configured_queues = 4, .queues = 4, .vectors = 5}, .queues = 4},
             {.cpus = 2, .shape = {.configured_queues = 4, .queues = 4, .vectors = 5}, .queues = 2},
             {.cpus = 4, .shape = {.configured_queues = 2, .queues = 2, .vectors = 5}, .queues = 2},
             {.cpus = 4, .shape = {.configured_queues = 4, .queues = 4, .vectors = 3}, .queues = 2},
             {.cpus = 4, .shape = {.configured_queues = 4, .queues = 4, .vectors = 1}, .queues = 1},
             // Lies: more in the configuration than there are, none, and very many.
             {.cpus = 4, .shape = {.configured_queues = 4, .queues = 1, .vectors = 5}, .queues = 1},
             {.cpus = 4, .shape = {.configured_queues = 0, .queues = 2, .vectors = 5}, .queues = 1},
             {.cpus = 4, .shape = {.configured_queues = 65535, .queues = 3, .vectors = 5}, .queues = 3}}) {
        patience_.command = 10_s;
        ASSERT_TRUE(hosted::set_cpu_count(one.cpus));
        bring_up(one.shape);
        EXPECT_EQ(fake_->used_queues().size(), one.queues) << log();
        for (unsigned cpu = 0; cpu < one.cpus; ++cpu) {
            std::thread{[&] {
                hosted::run_as_cpu(cpu);
                EXPECT_TRUE(read(0, 8, 10_s));
            }}.join();
        }
        EXPECT_EQ(disk().counts().timed_out, 0U);
        controller_->shut_down(within(1_s));
        controller_.reset();
    }
}

TEST_F(VirtioBlockTest, SizesOfQueues) {
    for (const std::uint16_t entries : std::initializer_list<std::uint16_t>{0, 1, 2}) {
        // Without indirect tables a request of three descriptors does not fit.
        EXPECT_FALSE(try_bring_up({.features = Feature::version_1, .entries = entries})) << entries;
        EXPECT_NE(log().find("not usable"), std::string::npos);
    }
    for (const std::uint16_t entries : std::initializer_list<std::uint16_t>{3, 5, 100, 32768, 65535}) {
        const bool fits = entries > 3;
        EXPECT_EQ(try_bring_up({.features = Feature::version_1, .entries = entries}).has_value(), fits)
            << entries;
        if (fits) {
            write(0, 8);
            EXPECT_TRUE(read(0, 8, 10_s)) << "rounded down to a power of two";
            controller_->shut_down(within(1_s));
            controller_.reset();
        }
    }
}

TEST_F(VirtioBlockTest, NonsenseIsRefused) {
    EXPECT_FALSE(try_bring_up({.features = 0})) << "a legacy device";
    EXPECT_FALSE(try_bring_up({.sectors = 0}));
    EXPECT_FALSE(try_bring_up({.sectors = ~std::uint64_t{0}}));
    for (const std::uint32_t size : {0U, 1U, 511U, 513U, 1000U, 131072U, 0x80000000U}) {
        EXPECT_FALSE(try_bring_up({.block_size = size})) << size;
    }
    EXPECT_FALSE(try_bring_up({.configuration_length = 4}));
    EXPECT_FALSE(try_bring_up({.vectors = 0}).has_value()) << "a table of 65536 vectors that is not there";
}

TEST_F(VirtioBlockTest, LimitsThatSayNothingLeaveTheOperationOut) {
    bring_up({.range_sectors = 0});
    EXPECT_EQ(disk().geometry().zero_blocks, 0U);
    EXPECT_EQ(disk().write_zeroes(0, 8, within(1_s)).error(), Error::not_supported);
    controller_->shut_down(within(1_s));
    controller_.reset();
    bring_up({.ranges = 0});
    EXPECT_EQ(disk().discard(0, 8, within(1_s)).error(), Error::not_supported);
    controller_->shut_down(within(1_s));
    controller_.reset();
    bring_up({.configuration_length = 0x18});
    EXPECT_EQ(disk().geometry().zero_blocks, 0U) << "beyond the end of its configuration";
    write(0, 8);
}

TEST_F(VirtioBlockTest, ConfigurationThatNeverStandsStillIsGivenUp) {
    fake_ = std::make_unique<FakeVirtio>();
    fake_->restless = true;
    EXPECT_EQ(Block::create(fake_->function(), 0, patience_).error(), Error::device_failed);
}

TEST_F(VirtioBlockTest, CapacityThatChangesIsSaid) {
    bring_up();
    fake_->resize(8192);
    eventually(
        [&] { return log().find("its capacity went from 4096 to 8192 sectors") != std::string::npos; });
    EXPECT_NE(log().find("its capacity went from 4096 to 8192 sectors"), std::string::npos) << log();
    EXPECT_EQ(disk().geometry().blocks, 4096U);
    EXPECT_EQ(fake_->resets, 0U);
    EXPECT_TRUE(read(0, 8, 10_s));
}

TEST_F(VirtioBlockTest, SilentDeviceIsLeftAlone) {
    fake_ = std::make_unique<FakeVirtio>();
    fake_->gone = true;
    EXPECT_FALSE(Block::create(fake_->function(), 0, patience_));
    fake_ = std::make_unique<FakeVirtio>();
    fake_->never_back = true;
    EXPECT_EQ(Block::create(fake_->function(), 0, patience_).error(), Error::not_supported);
}

}  // namespace
}  // namespace pv::virtio
