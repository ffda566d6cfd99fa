// Which bytes a device may use: neighbours, overlaps, ends of memory, and what ended.
// SPDX-License-Identifier: MIT
#include "checks/model/mappings.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <set>

namespace pv::checks {
namespace {

constexpr std::int64_t now = 1'000'000;

class MappingsTest : public ::testing::Test {
  protected:
    void map(std::uint64_t id, std::uint64_t bus, std::uint64_t length, std::uint64_t direction = 3,
             Bdf bdf = 1) {
        trace::Event event{.sequence = ++sequence_, .kind = trace::Kind::marker_dma_map};
        event.args = {bdf, id, bus, bus, length, direction};
        static_cast<void>(mappings_.map(event));
    }

    MappingProblem unmap(std::uint64_t id, Bdf bdf = 1) {
        trace::Event event{.sequence = ++sequence_, .kind = trace::Kind::marker_dma_unmap};
        event.args = {bdf, id, 0, 0, 0, 0};
        return mappings_.unmap(event).problem;
    }

    Mappings mappings_{Limits{}};
    std::int64_t sequence_ = 0;
};

TEST_F(MappingsTest, CoversAcrossNeighboursAndFindsTheHole) {
    map(1, 0x1000, 0x1000);
    map(2, 0x2000, 0x1000);
    map(3, 0x4000, 0x1000);
    EXPECT_EQ(mappings_.cover(1, 0x1800, 0x1800, true, now).uncovered_length, 0U);
    const Coverage coverage = mappings_.cover(1, 0x1800, 0x3000, true, now);
    EXPECT_EQ(coverage.uncovered, 0x3000U);
    EXPECT_EQ(coverage.uncovered_length, 0x1000U);
    EXPECT_EQ(coverage.ended, nullptr);
}

TEST_F(MappingsTest, TellsEndedAndForeignAndWrongDirection) {
    map(1, 0x1000, 0x1000, PV_DMA_TO_DEVICE);
    EXPECT_NE(mappings_.cover(1, 0x1000, 16, true, now).wrong_direction, nullptr);
    EXPECT_EQ(mappings_.cover(1, 0x1000, 16, false, now).wrong_direction, nullptr);
    EXPECT_NE(mappings_.cover(2, 0x1000, 16, false, now).of_other, nullptr);
    EXPECT_EQ(unmap(1), MappingProblem::none);
    EXPECT_NE(mappings_.cover(1, 0x1000, 16, false, now).ended, nullptr);
    EXPECT_EQ(unmap(1), MappingProblem::unmapped_twice);
    EXPECT_EQ(unmap(9), MappingProblem::not_mapped);
}

TEST_F(MappingsTest, AGuestThatNamesDevicesWithoutEndIsBounded) {
    constexpr std::uint64_t named = 5'000;
    for (std::uint64_t device = 0; device < named; ++device) {
        map(device + 1, 0x1000, 0x1000, 3, static_cast<Bdf>(device));
    }
    EXPECT_EQ(mappings_.live_count(), Limits{}.devices);
    EXPECT_EQ(mappings_.dropped(), named - Limits{}.devices);
    EXPECT_EQ(mappings_.cover(0, 0x1000, 0x1000, true, now).uncovered_length, 0U);
    map(named + 1, 0x2000, 0x1000, 3, 0);  // a device that is known goes on
    EXPECT_EQ(mappings_.cover(0, 0x1000, 0x2000, true, now).uncovered_length, 0U);
}

TEST_F(MappingsTest, EndOfTheAddressSpaceDoesNotWrap) {
    constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();
    map(1, top - 0xfff, 0x2000);
    map(2, 0, std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(mappings_.cover(1, top - 0x10, 0x100, true, now).uncovered_length, 0U);
    EXPECT_EQ(unmap(2), MappingProblem::none);
    EXPECT_NE(mappings_.cover(1, 0, 16, true, now).uncovered_length, 0U);
}

TEST_F(MappingsTest, AgreesWithAByteMapOnRandomRanges) {
    std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same ranges in every run
    std::vector<std::pair<std::uint64_t, std::uint64_t>> live;
    for (std::uint64_t id = 0; id < 300; ++id) {
        const std::uint64_t bus = random() % 512;
        const std::uint64_t length = 1 + random() % 64;
        map(id, bus, length);
        live.emplace_back(bus, length);
        if (id % 3 == 2) {
            EXPECT_EQ(unmap(id - 1), MappingProblem::none);
            live[static_cast<std::size_t>(id) - 1] = {0, 0};
        }
        std::set<std::uint64_t> bytes;
        for (const auto& [start, size] : live) {
            for (std::uint64_t i = 0; i < size; ++i) {
                bytes.insert(start + i);
            }
        }
        const std::uint64_t at = random() % 512;
        const std::uint64_t end = at + 1 + random() % 128;
        std::uint64_t hole = at;
        while (hole < end && bytes.contains(hole)) {
            ++hole;
        }
        const Coverage coverage = mappings_.cover(1, at, end - at, true, now);
        EXPECT_EQ(coverage.uncovered_length == 0, hole == end);
        if (hole != end) {
            EXPECT_EQ(coverage.uncovered, hole);
        }
    }
}

}  // namespace
}  // namespace pv::checks
