// The queues of virtio-net against a device that lies about what it did.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "device/dma/shared.hpp"
#include "device/virtio/net_control.hpp"
#include "device/virtio/net_receive.hpp"
#include "device/virtio/net_transmit.hpp"
#include "hosted/control.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

constexpr marker::Device device{0x60};
constexpr std::size_t entries = 8;

/// The device's side of a ring that was just made: what was mapped for it, in that order.
class Fake {
  public:
    Fake() {
        for (const auto& marker : hosted::take_markers()) {
            if (marker.number == PV_MARKER_dma_map) {
                areas_.push_back(reinterpret_cast<std::byte*>(marker.args[3]));
            }
        }
    }

    void attach(NetRing& ring) {
        (void)ring.announce();
        ring.set_doorbell(
            {mmio::Window{doorbell_.data(), doorbell_.size(), PhysicalAddress{0x1000}, "fake"}, {0}});
    }

    [[nodiscard]] std::byte* memory() const { return areas_.at(2); }

    [[nodiscard]] std::uint16_t available() const {
        return reinterpret_cast<const RingHeader*>(areas_.at(0) + SplitRing::table_bytes(entries))->index;
    }

    [[nodiscard]] std::uint16_t available_now() const {
        return dma::observe(
            reinterpret_cast<const RingHeader*>(areas_.at(0) + SplitRing::table_bytes(entries))->index);
    }

    [[nodiscard]] std::uint16_t available_flags() const {
        return reinterpret_cast<const RingHeader*>(areas_.at(0) + SplitRing::table_bytes(entries))->flags;
    }

    [[nodiscard]] const Descriptor& descriptor(std::size_t index) const {
        return reinterpret_cast<const Descriptor*>(areas_.at(0))[index];
    }

    /// Gives chain `id` back; the index moves by `moves`.
    void use(std::uint32_t id, std::uint32_t length, std::uint16_t moves = 1) {
        auto* header = reinterpret_cast<RingHeader*>(areas_.at(1));
        reinterpret_cast<UsedElement*>(areas_.at(1) + sizeof(RingHeader))[index_ % entries] =
            UsedElement{id, length};
        index_ = static_cast<std::uint16_t>(index_ + moves);
        header->index = index_;
    }

    void say_no_notify() { reinterpret_cast<RingHeader*>(areas_.at(1))->flags = ring_no_notify; }

    /// A frame of `length` bytes of `fill`, its header before it, into receive buffer `id`.
    void fill(std::size_t id, std::size_t length, char fill, std::uint16_t buffers = 1,
              std::uint8_t flags = 0) {
        NetHeader header{};
        header.flags = flags;
        header.buffers = buffers;
        std::byte* at = memory() + id * NetReceive::buffer_bytes;
        std::memcpy(at, &header, sizeof header);
        std::memset(at + sizeof header, fill, length);
    }

  private:
    std::vector<std::byte*> areas_;
    std::uint16_t index_ = 0;
    alignas(8) std::array<std::byte, 16> doorbell_{};
};

class NetReceiveTest : public testing::Test {
  protected:
    void SetUp() override {
        (void)hosted::take_markers();
        queue_ = *NetReceive::create(device, 0, entries, true);
        fake_ = std::make_unique<Fake>();
        fake_->attach(queue_->ring());
        queue_->fill();
    }

    void TearDown() override { queue_->release(); }

    std::size_t receive() {
        return queue_->receive(16, [&](const net::Frame& frame) {
            std::string text;
            for (const auto part : frame.parts) {
                text.append(reinterpret_cast<const char*>(part.data()), part.size());
            }
            EXPECT_EQ(text.size(), frame.length);
            frames_.push_back(text);
            vouched_ = frame.sum_vouched;
        });
    }

    /// Nothing came in, and the queue says why it is of no use any more.
    void expect_lie() {
        EXPECT_EQ(receive(), 0U);
        EXPECT_FALSE(queue_->lie().empty());
        EXPECT_TRUE(frames_.empty());
        fake_->fill(entries - 1, 60, 'a');
        fake_->use(entries - 1, 100);
        EXPECT_EQ(receive(), 0U) << "believed after a lie";
    }

    std::unique_ptr<NetReceive> queue_;
    std::unique_ptr<Fake> fake_;
    std::vector<std::string> frames_;
    bool vouched_ = false;
};

TEST_F(NetReceiveTest, HonestFramesComeInAndBuffersGoBack) {
    EXPECT_EQ(fake_->available(), entries);
    for (std::size_t i = 0; i < 20; ++i) {
        const auto id = static_cast<std::uint32_t>(i % entries);
        fake_->fill(id, 60 + i, 'a', 1, NetHeader::flag_sum_is_good);
        fake_->use(id, static_cast<std::uint32_t>(sizeof(NetHeader) + 60 + i));
        ASSERT_EQ(receive(), 1U);
        EXPECT_EQ(frames_.back(), std::string(60 + i, 'a'));
        EXPECT_TRUE(vouched_);
    }
    EXPECT_EQ(fake_->available(), entries + 20);
    EXPECT_EQ(queue_->posted(), entries);
    EXPECT_TRUE(queue_->lie().empty());
}

TEST_F(NetReceiveTest, FrameInSeveralBuffers) {
    fake_->fill(3, 1000, 'a', 2);
    fake_->use(3, sizeof(NetHeader) + 1000);
    std::memset(fake_->memory() + 5 * NetReceive::buffer_bytes, 'b', 100);
    fake_->use(5, 100);
    ASSERT_EQ(receive(), 1U);
    EXPECT_EQ(frames_.back(), std::string(1000, 'a') + std::string(100, 'b'));
    EXPECT_EQ(queue_->posted(), entries);
}

TEST_F(NetReceiveTest, IdOutOfRange) {
    fake_->use(entries, 100);
    expect_lie();
}

TEST_F(NetReceiveTest, SameBufferTwice) {
    fake_->fill(2, 60, 'a', 2);
    fake_->use(2, 100);
    fake_->use(2, 100);
    expect_lie();
}

TEST_F(NetReceiveTest, LengthBeyondTheBuffer) {
    fake_->fill(0, 60, 'a');
    fake_->use(0, NetReceive::buffer_bytes + 1);
    expect_lie();
}

TEST_F(NetReceiveTest, ShorterThanItsHeader) {
    fake_->fill(0, 60, 'a');
    fake_->use(0, sizeof(NetHeader) - 1);
    expect_lie();
}

TEST_F(NetReceiveTest, NumberOfBuffersThatCannotBe) {
    for (const std::uint16_t buffers : {std::uint16_t{0}, std::uint16_t{5}, std::uint16_t{0xffff}}) {
        TearDown();
        SetUp();
        // All of them are given back, so that it is the number that is wrong.
        fake_->fill(0, 60, 'a', buffers);
        for (std::uint32_t id = 0; id < entries - 2; ++id) {
            fake_->use(id, 100);
        }
        expect_lie();
    }
}

TEST_F(NetReceiveTest, BuffersOfAFrameMissing) {
    fake_->fill(0, 60, 'a', 3);
    fake_->use(0, 100);
    expect_lie();
}

TEST_F(NetReceiveTest, JumpingIndex) {
    fake_->use(0, 100, entries + 1);
    expect_lie();
}

TEST_F(NetReceiveTest, AsksForInterruptsOnlyWhereWanted) {
    queue_->ring().want_interrupts(false);
    EXPECT_EQ(fake_->available_flags(), ring_no_interrupt);
    queue_->ring().want_interrupts(true);
    EXPECT_EQ(fake_->available_flags(), 0);
    EXPECT_FALSE(queue_->pending());
    fake_->fill(0, 60, 'a');
    fake_->use(0, 100);
    EXPECT_TRUE(queue_->pending());
    EXPECT_EQ(receive(), 1U);
}

class NetTransmitTest : public testing::Test {
  protected:
    void SetUp() override {
        (void)hosted::take_markers();
        queue_ = *NetTransmit::create(device, 1, entries);
        fake_ = std::make_unique<Fake>();
        fake_->attach(queue_->ring());
    }

    void TearDown() override {
        queue_->release();
        hosted::release_clock();
    }

    Result<> send(std::size_t length, net::SumRequest sum = {}) {
        return queue_->send(length, [&](std::span<std::byte> room) {
            EXPECT_EQ(room.size(), length);
            std::memset(room.data(), 'x', room.size());
            return sum;
        });
    }

    static std::size_t count(std::uint32_t number) {
        std::size_t found = 0;
        for (const auto& marker : hosted::take_markers()) {
            found += marker.number == number ? 1 : 0;
        }
        return found;
    }

    std::unique_ptr<NetTransmit> queue_;
    std::unique_ptr<Fake> fake_;
};

TEST_F(NetTransmitTest, FramesGoOutWithTheirHeaderAndComeBack) {
    ASSERT_TRUE(send(100, {34, 16}));
    const Descriptor& descriptor = fake_->descriptor(0);
    EXPECT_EQ(std::uint32_t{descriptor.length}, sizeof(NetHeader) + 100);
    NetHeader header;
    std::memcpy(&header, fake_->memory(), sizeof header);
    EXPECT_EQ(header.flags, NetHeader::flag_needs_sum);
    EXPECT_EQ(std::uint16_t{header.sum_start}, 34);
    EXPECT_EQ(std::uint16_t{header.sum_offset}, 16);
    EXPECT_EQ(fake_->memory()[sizeof header], std::byte{'x'});
    EXPECT_EQ(queue_->outstanding(), 1U);
    fake_->use(0, 0);
    EXPECT_TRUE(queue_->reclaim());
    EXPECT_EQ(queue_->outstanding(), 0U);
    EXPECT_EQ(queue_->bytes(), 100U);
    EXPECT_EQ(send(NetTransmit::slot_bytes).error(), Error::out_of_range);
}

TEST_F(NetTransmitTest, FullQueueRefusesAndSaysWhenThereIsRoomAgain) {
    for (std::size_t i = 0; i < entries; ++i) {
        ASSERT_TRUE(send(60));
    }
    EXPECT_FALSE(queue_->room_again());
    EXPECT_EQ(send(60).error(), Error::busy);
    EXPECT_FALSE(queue_->room_again());
    fake_->use(4, 0);
    EXPECT_TRUE(queue_->room_again());
    EXPECT_FALSE(queue_->room_again());
    EXPECT_TRUE(send(60));
}

TEST_F(NetTransmitTest, FramesThatAreNotHeldAreRefused) {
    ASSERT_TRUE(send(60));
    fake_->use(1, 0);
    EXPECT_FALSE(queue_->reclaim());
    EXPECT_FALSE(queue_->lie().empty());
    EXPECT_EQ(count(PV_MARKER_command_refused), 1U);
    EXPECT_EQ(send(60).error(), Error::busy);
}

TEST_F(NetTransmitTest, IdOutOfRangeAndJumpingIndex) {
    for (const auto& [id, moves] : {std::pair<std::uint32_t, std::uint16_t>{0x1'0000, 1}, {0, 2}}) {
        TearDown();
        SetUp();
        ASSERT_TRUE(send(60));
        fake_->use(id, 0, moves);
        EXPECT_FALSE(queue_->reclaim());
        EXPECT_FALSE(queue_->lie().empty()) << id;
    }
}

TEST_F(NetTransmitTest, TheOldestFrameIsGivenUpOnce) {
    const Instant start = Instant::since_boot(100_s);
    hosted::hold_clock(start);
    ASSERT_TRUE(send(60));
    hosted::hold_clock(start + 1_s);
    ASSERT_TRUE(send(60));
    EXPECT_EQ(queue_->oldest(), start);
    hosted::hold_clock(start + NetTransmit::deadline + 1_ms);
    (void)hosted::take_markers();
    queue_->give_up_oldest();
    queue_->give_up_oldest();
    EXPECT_EQ(count(PV_MARKER_command_timeout), 1U);
    queue_->release();
    EXPECT_EQ(count(PV_MARKER_command_failed), 2U) << "what the device still held is said to have failed";
}

TEST_F(NetTransmitTest, DoorbellIsRungWhereTheDeviceWantsItAndAtHalfARing) {
    ASSERT_TRUE(send(60));
    queue_->ring().ring_doorbell();
    EXPECT_EQ(count(PV_MARKER_doorbell), 1U);
    queue_->ring().ring_doorbell();
    EXPECT_EQ(count(PV_MARKER_doorbell), 0U);
    fake_->say_no_notify();
    for (std::size_t i = 0; i < entries / 2 - 1; ++i) {
        ASSERT_TRUE(send(60));
        queue_->ring().ring_doorbell();
    }
    EXPECT_EQ(count(PV_MARKER_doorbell), 0U);
    ASSERT_TRUE(send(60));
    queue_->ring().ring_doorbell();
    EXPECT_EQ(count(PV_MARKER_doorbell), 1U);
}

class NetControlTest : public testing::Test {
  protected:
    void SetUp() override {
        (void)hosted::take_markers();
        queue_ = *NetControlQueue::create(device, 2, entries);
        fake_ = std::make_unique<Fake>();
        fake_->attach(queue_->ring());
    }

    void TearDown() override { queue_->release(); }

    /// The device answers `answer` under `id`, once it was asked.
    Result<> ask(std::uint8_t answer, std::uint32_t id) {
        std::thread answers{[&] {
            while (fake_->available_now() == 0) {
                std::this_thread::yield();
            }
            fake_->memory()[sizeof(NetControl) + 16] = std::byte{answer};
            std::atomic_thread_fence(std::memory_order_seq_cst);
            fake_->use(id, 1);
        }};
        const le16 pairs{std::uint16_t{2}};
        const Result<> asked = queue_->execute(NetControl::class_pairs, NetControl::pairs_set,
                                               std::as_bytes(std::span{&pairs, 1}), Deadline::after(10_s));
        answers.join();
        return asked;
    }

    std::unique_ptr<NetControlQueue> queue_;
    std::unique_ptr<Fake> fake_;
};

TEST_F(NetControlTest, Answers) {
    EXPECT_TRUE(ask(NetControl::answer_good, 0));
    EXPECT_EQ(std::uint32_t{fake_->descriptor(1).length}, 2U);
    EXPECT_EQ(std::uint16_t{fake_->descriptor(2).flags}, Descriptor::flag_device_writes);
}

TEST_F(NetControlTest, Refuses) {
    EXPECT_EQ(ask(1, 0).error(), Error::io);
}

TEST_F(NetControlTest, AnswersWhatWasNotAsked) {
    EXPECT_EQ(ask(NetControl::answer_good, 3).error(), Error::device_failed);
}

TEST_F(NetControlTest, NeverAnswers) {
    const std::byte data{};
    EXPECT_EQ(queue_->execute(4, 0, {&data, 1}, Deadline::after(5_ms)).error(), Error::timed_out);
    EXPECT_EQ(queue_->execute(4, 0, {&data, 1}, Deadline::after(5_ms)).error(), Error::busy);
}

}  // namespace
}  // namespace pv::virtio
