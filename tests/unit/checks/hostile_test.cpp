// Markers without end: judging them takes neither memory nor time without end, and nothing is then said to
// hold.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "checks/analysis.hpp"

namespace pv::checks {
namespace {

using trace::Kind;

/// Feeds a guest's markers to all rules. A look-up that is not bounded takes these tests from a second to
/// hours.
class HostileMarkers : public ::testing::Test {
  protected:
    static constexpr std::uint64_t all = 0x3f;
    static constexpr std::uint64_t second = 1'000'000'000;

    HostileMarkers() {
        mark(Kind::marker_hello, {PV_MARKER_VERSION, all, 0, 0});
        mark(Kind::marker_device, {1, PV_DEVICE_NVME, 0xf000'0000, 0x4000});
    }

    void mark(Kind kind, std::vector<std::uint64_t> args) {
        trace::Event event{.sequence = ++sequence_, .time = sequence_, .kind = kind, .cpu = 0};
        std::ranges::copy(args, event.args.begin());
        analysis_.see(event);
    }

    void dma_map(std::uint64_t id, std::uint64_t bus, std::uint64_t length, Bdf bdf = 1) {
        mark(Kind::marker_dma_map, {bdf, id, bus, bus, length, PV_DMA_FROM_DEVICE});
    }

    /// What became of `rule`, when all is over.
    store::RuleResult result(const std::string& rule) {
        for (store::RuleResult& one : analysis_.finish(true).rules) {
            if (one.rule == rule) {
                return std::move(one);
            }
        }
        return {};
    }

    [[nodiscard]] const World& world() const { return analysis_.world(); }

  private:
    static std::vector<const RuleInfo*> every_rule() {
        std::vector<const RuleInfo*> selected;
        for (const RuleInfo& rule : rules()) {
            selected.push_back(&rule);
        }
        return selected;
    }

    std::vector<const RuleInfo*> selected_ = every_rule();
    Analysis analysis_{selected_, Limits{}, {}, {}};
    std::int64_t sequence_ = 0;
};

TEST_F(HostileMarkers, ManyMappingsOfOneRangeEndFast) {
    constexpr std::uint64_t many = 20'000;
    for (std::uint64_t id = 1; id <= many; ++id) {
        dma_map(id, 0x1000, 0x1000);
    }
    for (std::uint64_t id = 1; id <= many; ++id) {
        mark(Kind::marker_dma_unmap, {1, id, 0x1000, 0x1000});
    }
    mark(Kind::marker_goodbye, {0});
    const store::RuleResult leak = result("dma-leak");
    EXPECT_NE(leak.outcome, store::Outcome::held);  // what was not looked at did not hold
    EXPECT_NE(leak.note.find("overlapped"), std::string::npos) << leak.note;
}

TEST_F(HostileMarkers, LengthsBeyondHalfOfTheAddressesEndFast) {
    constexpr std::uint64_t many = 50'000;
    constexpr std::uint64_t half = std::uint64_t{1} << 63;
    for (std::uint64_t id = 1; id <= many; ++id) {
        dma_map(id, id << 12, half + id, 1 + static_cast<Bdf>(id % 2));
        mark(Kind::marker_memory_protect, {id << 12, half + id, PV_PROTECT_TABLE});
    }
    for (std::uint64_t id = 1; id <= many; ++id) {
        mark(Kind::marker_dma_unmap, {1 + id % 2, id, id << 12, half + id});
    }
    EXPECT_NE(result("dma-double-map").outcome, store::Outcome::held);
}

TEST_F(HostileMarkers, DevicesWithoutEndAreNotFollowedAndNotPassed) {
    for (std::uint64_t device = 1; device <= 200'000; ++device) {
        mark(Kind::marker_device, {device, PV_DEVICE_NVME, device << 16, 0x4000});
        mark(Kind::marker_command_submit, {device, 1, 1, PV_OPERATION_FLUSH, second, 0});
        mark(Kind::marker_command_complete, {device, 1, 1, 0});
        mark(Kind::marker_durable_begin, {device, 1});
        mark(Kind::marker_durable_end, {device, 1, 0});
    }
    mark(Kind::marker_goodbye, {0});
    const store::RuleResult flush = result("flush-order");
    EXPECT_EQ(flush.outcome, store::Outcome::not_observed);
    EXPECT_NE(flush.note.find("more than 1024 devices"), std::string::npos) << flush.note;
}

TEST_F(HostileMarkers, RegisterWindowsWithoutEndAreNotFollowed) {
    constexpr std::uint64_t many = 100'000;
    for (std::uint64_t window = 1; window <= many; ++window) {
        mark(Kind::marker_device, {1, PV_DEVICE_NVME, window << 16, 0x4000});
        mark(Kind::mmio_read, {window << 16, 0, 4, 0, 0});
    }
    EXPECT_NE(world().devices().find(std::uint64_t{1} << 16), nullptr);
    EXPECT_EQ(world().devices().find(many << 16), nullptr);
}

TEST_F(HostileMarkers, ResetsAmongManyCommandsEndFast) {
    constexpr std::uint64_t many = 60'000;
    for (std::uint64_t id = 1; id <= many; ++id) {
        mark(Kind::marker_command_submit, {1, id, id, PV_OPERATION_READ, second, 0});
    }
    for (std::uint64_t id = many; id > 0; --id) {
        mark(Kind::marker_device_reset, {1, 1});
        mark(Kind::marker_command_failed, {1, id, id, 1});
    }
    EXPECT_EQ(result("cmd-late").outcome, store::Outcome::held);
}

TEST_F(HostileMarkers, ManyCommandsOfOneIdEndFast) {
    for (std::uint64_t i = 0; i < 40'000; ++i) {
        mark(Kind::marker_command_submit, {1, 1, 7, PV_OPERATION_READ, second, 0});
    }
    EXPECT_NE(result("cmd-late").outcome, store::Outcome::held);
}

TEST_F(HostileMarkers, ManyOpenWaitsEndFast) {
    for (std::uint64_t id = 1; id <= 60'000; ++id) {
        mark(Kind::marker_wait_begin, {id, PV_WAIT_REGISTER, 1'000 * second, 0xf000'001c});
    }
    for (std::uint64_t i = 0; i < 60'000; ++i) {
        mark(Kind::mmio_read, {0xf000'001c, i, 4, 0, 0});
    }
    EXPECT_EQ(result("mmio-poll-unbounded").outcome, store::Outcome::held);
}

}  // namespace
}  // namespace pv::checks
