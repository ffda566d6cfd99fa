// The virtio-blk queue against a device that lies about what it did.
// SPDX-License-Identifier: MIT
#include "device/virtio/block_queue.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "hosted/control.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

constexpr marker::Device device{0x88};

class BlockQueueTest : public testing::Test {
  protected:
    void SetUp() override {
        (void)hosted::take_markers();
        queue_ = *BlockQueue::create({"fake0", device, 0}, *request_shape(8, true, 0, 0, 128), 512);
        for (const auto& marker : hosted::take_markers()) {
            if (marker.number == PV_MARKER_dma_map) {
                maps_.push_back(marker);
            }
        }
        // Mapped in this order: rings, used ring, headers, statuses, tables.
        used_ = reinterpret_cast<std::byte*>(maps_.at(1).args[3]);
        statuses_ = reinterpret_cast<std::byte*>(maps_.at(3).args[3]);
        queue_->set_doorbell(
            {mmio::Window{notify_.data(), notify_.size(), PhysicalAddress{0x1000}, "fake"}, {0}});
    }

    void TearDown() override { queue_->release(true); }

    block::CommandId read(dma::Pages& pages) {
        block::Submission submission{.operation = marker::Operation::read,
                                     .deadline = Deadline::after(200_ms)};
        submission.data = *dma::Mapping::map(device, pages, 0, 512, dma::Direction::from_device);
        return *queue_->start(BlockRequest::read, std::move(submission), BlockQueue::Room::now);
    }

    void use(std::uint32_t id, std::uint32_t length, std::uint8_t status, std::uint16_t moves = 1) {
        if (id < 8) {
            statuses_[id] = std::byte{status};
        }
        reinterpret_cast<UsedElement*>(used_ + sizeof(RingHeader))[index_ % 8] = UsedElement{id, length};
        index_ = static_cast<std::uint16_t>(index_ + moves);
        reinterpret_cast<RingHeader*>(used_)->index = index_;
        queue_->interrupt();
    }

    std::unique_ptr<BlockQueue> queue_;
    std::vector<hosted::Marker> maps_;
    alignas(8) std::array<std::byte, 16> notify_{};
    std::byte* used_ = nullptr;
    std::byte* statuses_ = nullptr;
    std::uint16_t index_ = 0;
    dma::Pages pages_ = *dma::Pages::allocate(4096);
};

TEST_F(BlockQueueTest, HonestAnswer) {
    const auto id = read(pages_);
    use(id.wire, 513, 0);
    const auto outcome = queue_->wait(id);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, 0);
}

TEST_F(BlockQueueTest, AnInterruptAfterTheEndTouchesNoMemory) {
    queue_->release(true);
    queue_->interrupt();  // its rings are gone: AddressSanitizer watches
    EXPECT_EQ(queue_->counts().completed, 0U);
}

TEST_F(BlockQueueTest, IdOutOfRangeIsRefusedAndTheCommandStillEnds) {
    const auto id = read(pages_);
    for (std::uint32_t lie : {8U, 0x10000U, 0xffffffffU}) {
        use(lie, 513, 0);
        index_ = static_cast<std::uint16_t>(index_);
    }
    EXPECT_EQ(queue_->counts().completed, 0U);
    use(id.wire, 513, 0);
    EXPECT_TRUE(queue_->wait(id));
}

TEST_F(BlockQueueTest, IdThatIsNotOutstandingIsRefused) {
    const auto id = read(pages_);
    use(id.wire == 0 ? 1 : 0, 513, 0);
    const auto markers = hosted::take_markers();
    EXPECT_EQ(markers.back().number, static_cast<std::uint32_t>(PV_MARKER_command_refused));
    use(id.wire, 513, 0);
    EXPECT_TRUE(queue_->wait(id));
}

TEST_F(BlockQueueTest, LengthsThatCannotBeFailTheRequest) {
    for (std::uint32_t length : {514U, 0xffffffffU, 512U, 0U}) {
        dma::Pages pages = *dma::Pages::allocate(4096);
        const auto id = read(pages);
        use(id.wire, length, 0);
        const auto outcome = queue_->wait(id);
        ASSERT_TRUE(outcome);
        EXPECT_NE(outcome->status, 0) << length;
    }
}

TEST_F(BlockQueueTest, JumpingIndexIsNotFollowedAndTheRecoveryIsTold) {
    bool told = false;
    queue_->on_trouble([](void* told_here) { *static_cast<bool*>(told_here) = true; }, &told);
    const auto id = read(pages_);
    EXPECT_FALSE(queue_->lied());
    use(id.wire, 513, 0, 2);
    EXPECT_TRUE(told);
    EXPECT_TRUE(queue_->lied());
    EXPECT_EQ(queue_->wait(id).error(), Error::timed_out);
    EXPECT_TRUE(pages_.quarantined());
    queue_->fail_all(Error::cancelled);
    queue_->renew();
    EXPECT_FALSE(queue_->lied());
    EXPECT_FALSE(pages_.quarantined());
}

}  // namespace
}  // namespace pv::virtio
