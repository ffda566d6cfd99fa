// A block device's common part: what is refused, how requests are split and joined, what flush says.
// SPDX-License-Identifier: MIT
#include "block/device.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "hosted/control.hpp"

namespace pv::block {
namespace {

using namespace literals;

class FakeDevice final : public Device {
  public:
    struct Piece {
        std::uint64_t first;
        std::uint64_t blocks;
        std::size_t offset;
    };

    std::string_view name() const override { return "fake"; }

    const Geometry& geometry() const override { return shape; }

    CommandCounts counts() override { return {}; }

    marker::Device marker_device() const override { return marker::Device{8}; }

    marker::DeviceKind kind() const override { return marker::DeviceKind::other; }

    bool has_ended(Ticket) override { return true; }

    Geometry shape{
        .blocks = 1000, .block_size = 512, .alignment = 4, .command_blocks = 8, .write_cache = true};
    std::vector<Piece> pieces;
    std::size_t in_flight = 0;
    std::size_t most_in_flight = 0;
    std::size_t room = 100;
    std::size_t fail_at = ~std::size_t{0};
    int flushes = 0;
    std::vector<unsigned> attempts;         ///< of the pieces
    std::set<std::uint16_t> interrupted{};  ///< pieces that a recovery ends
    bool interrupts_all = false;

  private:
    Result<Ticket> start(const Work& work) override {
        if (work.operation == marker::Operation::flush) {
            ++flushes;
            return CommandId{flush_wire, 1};
        }
        if (in_flight == room) {
            EXPECT_FALSE(work.wait) << "waits for room that only it can make";
            return fail(Error::busy);
        }
        pieces.push_back({work.first, work.blocks, work.data == nullptr ? 0 : work.data->offset});
        attempts.push_back(work.attempt);
        most_in_flight = std::max(most_in_flight, ++in_flight);
        return CommandId{static_cast<std::uint16_t>(pieces.size() - 1), 1};
    }

    Result<> finish(Ticket ticket) override {
        if (ticket.id.wire == flush_wire) {
            return {};
        }
        --in_flight;
        if (interrupted.erase(ticket.id.wire) != 0 || interrupts_all) {
            return fail(Error::interrupted);
        }
        return ticket.id.wire == fail_at ? Result<>{fail(Error::io)} : Result<>{};
    }

    static constexpr std::uint16_t flush_wire = 0xfff0;
};

class BlockDeviceTest : public testing::Test {
  protected:
    Result<> read(std::uint64_t first, std::size_t offset, std::size_t length) {
        return device_.read(first, {pages_, offset, length}, Deadline::after(1_s));
    }

    FakeDevice device_;
    dma::Pages pages_ = *dma::Pages::allocate(512 * 1024);
};

TEST_F(BlockDeviceTest, RefusesWhatCannotBe) {
    EXPECT_EQ(read(0, 0, 0).error(), Error::invalid_argument);
    EXPECT_EQ(read(0, 0, 513).error(), Error::invalid_argument);
    EXPECT_EQ(read(0, 2, 512).error(), Error::invalid_argument);
    EXPECT_EQ(read(1000, 0, 512).error(), Error::out_of_range);
    EXPECT_EQ(read(999, 0, 1024).error(), Error::out_of_range);
    EXPECT_EQ(read(~std::uint64_t{0}, 0, 1024).error(), Error::out_of_range);
    device_.shape.read_only = true;
    EXPECT_EQ(device_.write(0, {pages_, 0, 512}, Deadline::after(1_s)).error(), Error::invalid_argument);
    EXPECT_TRUE(device_.pieces.empty());
}

TEST_F(BlockDeviceTest, SplitsAndKeepsSeveralUnderWay) {
    ASSERT_TRUE(read(3, 4, 100 * 512));
    std::uint64_t next = 3;
    for (const auto& piece : device_.pieces) {
        EXPECT_EQ(piece.first, next);
        EXPECT_EQ(piece.offset, 4 + (next - 3) * 512);
        next += piece.blocks;
    }
    EXPECT_EQ(next, 103U);
    EXPECT_EQ(device_.most_in_flight, 8U);
    EXPECT_EQ(device_.in_flight, 0U);
}

TEST_F(BlockDeviceTest, NeverWaitsForRoomItHoldsItself) {
    device_.room = 2;
    ASSERT_TRUE(read(0, 0, 100 * 512));
    EXPECT_EQ(device_.in_flight, 0U);
}

TEST_F(BlockDeviceTest, FailedPieceEndsTheRequestAfterTheOthers) {
    device_.fail_at = 1;
    EXPECT_EQ(read(0, 0, 400 * 512).error(), Error::io);
    EXPECT_EQ(device_.in_flight, 0U);
    EXPECT_LT(device_.pieces.size(), 50U);
}

TEST_F(BlockDeviceTest, FlushIsSentWhereThereIsACache) {
    (void)hosted::take_markers();
    ASSERT_TRUE(device_.flush(Deadline::after(1_s)));
    EXPECT_EQ(device_.flushes, 1);
    auto markers = hosted::take_markers();
    ASSERT_EQ(markers.size(), 2U);
    EXPECT_EQ(markers[0].number, static_cast<std::uint32_t>(PV_MARKER_durable_begin));
    EXPECT_EQ(markers[1].number, static_cast<std::uint32_t>(PV_MARKER_durable_end));
    EXPECT_EQ(markers[0].args[1], markers[1].args[1]);
    device_.shape.write_cache = false;
    ASSERT_TRUE(device_.flush(Deadline::after(1_s)));
    EXPECT_EQ(device_.flushes, 1);
}

// A recovery ends commands of callers who still wait: they are begun again.
TEST_F(BlockDeviceTest, RepeatsWhatARecoveryEnded) {
    device_.interrupted = {2, 5, 13};  // 13 is the repeat of one of them
    ASSERT_TRUE(read(0, 0, 100 * 512));
    std::map<std::uint64_t, unsigned> times;
    for (const auto& piece : device_.pieces) {
        ++times[piece.first];
        EXPECT_EQ(piece.offset, piece.first * 512) << "a repeat carries its own data";
    }
    EXPECT_EQ(times.size(), 13U);
    EXPECT_EQ(device_.pieces.size(), 16U);
    EXPECT_EQ(device_.in_flight, 0U);
    EXPECT_EQ(std::ranges::count(device_.attempts, 0U), 13);
}

TEST_F(BlockDeviceTest, RepeatsNotForEver) {
    device_.interrupts_all = true;
    EXPECT_EQ(read(0, 0, 512).error(), Error::interrupted);
    EXPECT_EQ(device_.pieces.size(), 5U);
    EXPECT_EQ(device_.attempts.back(), 4U);
    EXPECT_EQ(device_.in_flight, 0U);
}

TEST_F(BlockDeviceTest, RepeatsWithoutRoomFinishOthersFirst) {
    device_.room = 2;
    device_.interrupted = {0, 1, 2, 3};
    ASSERT_TRUE(read(0, 0, 100 * 512));
    EXPECT_EQ(device_.in_flight, 0U);
}

TEST_F(BlockDeviceTest, WriteZeroesAndDiscardAreSplitByTheirOwnLimits) {
    EXPECT_EQ(device_.write_zeroes(0, 10, Deadline::after(1_s)).error(), Error::not_supported);
    EXPECT_EQ(device_.discard(0, 10, Deadline::after(1_s)).error(), Error::not_supported);
    device_.shape.zero_blocks = 4;
    device_.shape.discard_blocks = 100;
    EXPECT_TRUE(device_.write_zeroes(7, 10, Deadline::after(1_s)));
    ASSERT_EQ(device_.pieces.size(), 3U);
    EXPECT_EQ(device_.pieces[2].first, 15U);
    EXPECT_EQ(device_.pieces[2].blocks, 2U);
    EXPECT_TRUE(device_.discard(0, 200, Deadline::after(1_s)));
    EXPECT_EQ(device_.pieces.size(), 5U);
    EXPECT_EQ(device_.discard(900, 101, Deadline::after(1_s)).error(), Error::out_of_range);
    EXPECT_EQ(device_.discard(0, 0, Deadline::after(1_s)).error(), Error::invalid_argument);
}

}  // namespace
}  // namespace pv::block
