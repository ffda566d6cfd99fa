// Rings as drivers make them, and as nobody should.
// SPDX-License-Identifier: MIT
#include "plugin/ring.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "ring_support.hpp"

namespace pv::plugin {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::StartsWith;

struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags, next;
};

enum : std::uint16_t { next = 1, writes = 2, indirect = 4 };

class PluginRing : public testing::Test {
  protected:
    static constexpr std::uint64_t table = 0x1000, driver = 0x2000, other = 0x3000, header = 0x4000;

    void describe(std::uint16_t index, const Descriptor& descriptor, std::uint64_t base = table) {
        memory.put(base + 16ULL * index, descriptor);
    }

    void block_header(std::uint32_t type, std::uint64_t sector) {
        memory.put(header, type);
        memory.put(header + 8, sector);
    }

    /// Makes `head` available and rings the doorbell.
    void offer(std::uint16_t head) {
        memory.put(driver + 4 + 2ULL * (available % ring.entries), head);
        ++available;
        decode(ring, available, memory, log);
    }

    test::Memory memory{64 << 10};
    test::Log log;
    Ring ring{.bdf = 0x80,
              .number = 0,
              .entries = 8,
              .descriptors = table,
              .driver_area = driver,
              .next_available = 0,
              .block_requests = true};
    std::uint16_t available = 0;
};

TEST_F(PluginRing, ABlockReadIsDecoded) {
    block_header(0, 0x1234);
    describe(2, {header, 16, next, 5});
    describe(5, {0x8000, 4096, next | writes, 1});
    describe(1, {0x9000, 1, writes, 0});
    offer(2);
    EXPECT_THAT(log.lines, ElementsAre("descriptor 2 16384 16 0", "descriptor 2 32768 4096 1",
                                       "descriptor 2 36864 1 1", "request 2 1 4660 3"));
}

TEST_F(PluginRing, OperationsHaveTheirNames) {
    describe(0, {header, 16, next, 1});
    describe(1, {0x9000, 1, writes, 0});
    const std::pair<std::uint32_t, pv_operation> types[] = {
        {1, PV_OPERATION_WRITE},    {4, PV_OPERATION_FLUSH},         {8, PV_OPERATION_OTHER},
        {11, PV_OPERATION_DISCARD}, {13, PV_OPERATION_WRITE_ZEROES}, {99, PV_OPERATION_OTHER}};
    for (const auto& [type, operation] : types) {
        block_header(type, 0);
        offer(0);
        EXPECT_EQ(log.lines.back(), "request 0 " + std::to_string(operation) + " 0 2");
    }
}

TEST_F(PluginRing, AHeaderMayBeInPieces) {
    block_header(1, 77);
    describe(0, {header, 3, next, 1});
    describe(1, {header + 3, 13, next, 2});
    describe(2, {0x9000, 1, writes, 0});
    offer(0);
    EXPECT_EQ(log.lines.back(), "request 0 2 77 3");
}

TEST_F(PluginRing, IndirectTables) {
    block_header(0, 5);
    describe(3, {other, 48, indirect, 0});
    describe(0, {header, 16, next, 2}, other);
    describe(2, {0x8000, 512, next | writes, 1}, other);
    describe(1, {0x9000, 1, writes, 0}, other);
    offer(3);
    EXPECT_THAT(log.lines,
                ElementsAre("indirect 3 12288 48", "descriptor 3 16384 16 0", "descriptor 3 32768 512 1",
                            "descriptor 3 36864 1 1", "request 3 1 5 3"));
}

TEST_F(PluginRing, IndexesWrapAroundTheTableAndAt65536) {
    describe(0, {header, 16, 0, 0});
    ring.next_available = available = 65'530;
    for (int i = 0; i < 20; ++i) {
        offer(0);
    }
    EXPECT_EQ(log.lines.size(), 40U);
    EXPECT_EQ(ring.next_available, 14);
}

TEST_F(PluginRing, SeveralEntriesForOneDoorbell) {
    describe(0, {0x8000, 16, 0, 0});
    describe(1, {0x9000, 32, 0, 0});
    memory.put(driver + 4, std::uint16_t{1});
    memory.put(driver + 6, std::uint16_t{0});
    decode(ring, 2, memory, log);
    EXPECT_THAT(log.lines, ElementsAre("descriptor 1 36864 32 0", "request 1 1 0 1",
                                       "descriptor 0 32768 16 0", "request 0 1 0 1"));
    decode(ring, 2, memory, log);
    EXPECT_EQ(log.lines.size(), 4U) << "nothing new, nothing said";
}

TEST_F(PluginRing, HeadBeyondTheTable) {
    offer(8);
    EXPECT_THAT(log.lines, ElementsAre("fault 8 1 8"));
}

TEST_F(PluginRing, NextBeyondTheTable) {
    describe(0, {0x8000, 16, next, 8});
    offer(0);
    EXPECT_EQ(log.lines.back(), "fault 0 1 8");
}

TEST_F(PluginRing, ALoopEnds) {
    describe(0, {0x8000, 16, next, 1});
    describe(1, {0x8000, 16, next, 0});
    offer(0);
    EXPECT_EQ(log.descriptors, 8U);
    EXPECT_EQ(log.lines.back(), "fault 0 2 0");
}

TEST_F(PluginRing, AFullTableIsNoLoop) {
    for (std::uint16_t i = 0; i < 8; ++i) {
        describe(i,
                 {0x8000, 16, static_cast<std::uint16_t>(i < 7 ? 1 : 0), static_cast<std::uint16_t>(i + 1)});
    }
    offer(0);
    EXPECT_EQ(log.lines.back(), "request 0 1 0 8");
}

TEST_F(PluginRing, IndirectMistakes) {
    describe(0, {other, 0, indirect, 0});
    offer(0);
    EXPECT_EQ(log.lines.back(), "fault 0 4 0");
    describe(0, {other, 40, indirect, 0});
    offer(0);
    EXPECT_EQ(log.lines.back(), "fault 0 4 40");
    describe(0, {other, 16, indirect, 0});
    describe(0, {other, 16, indirect, 0}, other);
    offer(0);
    EXPECT_EQ(log.lines.back(), "fault 0 5 0");
    describe(0, {0xffffffffffffff00, 16, indirect, 0});
    offer(0);
    EXPECT_EQ(log.lines.back(), "fault 0 3 18446744073709551360");
    describe(0, {UINT64_MAX - 15, 32, indirect, 0});
    offer(0);
    EXPECT_THAT(log.lines.back(), StartsWith("fault 0 3"));
}

TEST_F(PluginRing, ReadableAfterWritable) {
    describe(0, {0x8000, 16, next | writes, 1});
    describe(1, {0x9000, 16, next, 2});
    describe(2, {0x9000, 16, 0, 0});
    offer(0);
    EXPECT_EQ(std::ranges::count(log.lines, "fault 0 7 0"), 1);
    EXPECT_EQ(log.descriptors, 3U) << "the rest is still told";
}

TEST_F(PluginRing, OutsideMemory) {
    describe(0, {0xffff0000, 16, 0, 0});
    offer(0);
    EXPECT_EQ(log.lines[1], "fault 0 3 4294901760") << "the header cannot be read";
    ring.descriptors = memory.bytes.size();
    offer(0);
    EXPECT_THAT(log.lines.back(), StartsWith("fault 0 3"));
    ring.driver_area = UINT64_MAX - 2;
    offer(0);
    EXPECT_THAT(log.lines.back(), StartsWith("fault 0 3"));
    EXPECT_EQ(ring.next_available, available);
}

TEST_F(PluginRing, AvailableJumps) {
    decode(ring, 9, memory, log);
    EXPECT_THAT(log.lines, ElementsAre("fault 0 6 9"));
    decode(ring, 0x10009, memory, log);
    EXPECT_EQ(log.lines.back(), "fault 0 6 65545");
    decode(ring, 8, memory, log);  // backwards
    EXPECT_EQ(log.lines.back(), "fault 0 6 8");
    EXPECT_EQ(ring.next_available, 8);
}

/// 32,768 chains, each a loop through 32,768 descriptors, would be a thousand million steps.
TEST(PluginRingBound, OneDoorbellIsBoundedWork) {
    test::Memory memory{2 << 20};
    test::Log log;
    Ring ring{.entries = largest_ring, .descriptors = 0, .driver_area = 1 << 20};
    for (std::uint32_t i = 0; i < largest_ring; ++i) {
        memory.put(16ULL * i, Descriptor{0, 1, next, static_cast<std::uint16_t>((i + 1) % largest_ring)});
    }
    decode(ring, largest_ring, memory, log);
    EXPECT_LE(log.descriptors, descriptors_per_doorbell);
    EXPECT_LE(memory.reads, 2 * descriptors_per_doorbell);
    EXPECT_EQ(ring.next_available, largest_ring);
}

TEST(PluginRingBound, AnyBytesAtAllAreSurvived) {
    std::mt19937_64 random{42};
    for (int round = 0; round < 300; ++round) {
        test::Memory memory{64 << 10};
        for (auto& byte : memory.bytes) {
            byte = static_cast<std::byte>(random() % (round % 2 == 0 ? 256 : 5));
        }
        test::Log log;
        Ring ring{.entries = 1U << random() % 16,
                  .descriptors = random() % (80 << 10),
                  .driver_area = random() % (80 << 10),
                  .next_available = static_cast<std::uint16_t>(random()),
                  .block_requests = round % 3 != 0};
        const std::uint64_t target = ring.next_available + random() % 300;
        decode(ring, target & 0xffff, memory, log);
        EXPECT_EQ(ring.next_available, target & 0xffff);
        EXPECT_LE(log.descriptors, descriptors_per_doorbell);
    }
}

}  // namespace
}  // namespace pv::plugin
