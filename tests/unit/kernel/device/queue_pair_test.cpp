// NVMe rings against a controller in memory: wrapping, phases, and heads that cannot be.
// SPDX-License-Identifier: MIT
#include "device/nvme/queue_pair.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace pv::nvme {
namespace {

class QueuePairTest : public testing::Test {
  protected:
    static constexpr std::size_t entries = 4;

    struct alignas(4096) Page {
        std::array<std::byte, 4096> bytes{};
    };

    void make(std::size_t count = entries) {
        count_ = count;
        pair_.emplace(*QueuePair::create(submission_->bytes, completion_->bytes, count));
    }

    /// The controller fetches one command and completes it.
    void serve() {
        const auto* sq = reinterpret_cast<const SubmissionEntry*>(submission_->bytes.data());
        const std::uint16_t command = sq[head_].command;
        head_ = (head_ + 1) % count_;
        post(command, static_cast<std::uint16_t>(head_));
    }

    void post(std::uint16_t command, std::uint16_t submission_head) {
        auto* cq = reinterpret_cast<CompletionEntry*>(completion_->bytes.data());
        CompletionEntry& entry = cq[tail_];
        entry.command = command;
        entry.submission_head = submission_head;
        entry.submission_queue = std::uint16_t{1};
        entry.status = static_cast<std::uint16_t>(phase_ ? 1 : 0);
        if (++tail_ == count_) {
            tail_ = 0;
            phase_ = !phase_;
        }
    }

    std::unique_ptr<Page> submission_ = std::make_unique<Page>();
    std::unique_ptr<Page> completion_ = std::make_unique<Page>();
    std::optional<QueuePair> pair_;
    std::size_t count_ = entries;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
    bool phase_ = true;
};

SubmissionEntry entry(std::uint16_t command) {
    SubmissionEntry result;
    result.command = command;
    return result;
}

// LEDGER C15b: tail, head and phase wrap all the time.
TEST_F(QueuePairTest, MillionCommandsThroughFourEntries) {
    make();
    for (std::uint32_t i = 0; i < 1'000'000; ++i) {
        const auto command = static_cast<std::uint16_t>(i);
        ASSERT_TRUE(pair_->push(entry(command)));
        ASSERT_FALSE(pair_->next());
        serve();
        const auto completion = pair_->next();
        ASSERT_TRUE(completion && completion->sound);
        ASSERT_EQ(completion->command, command);
    }
}

TEST_F(QueuePairTest, FullHoldsOneLessThanItHas) {
    make();
    EXPECT_EQ(*pair_->push(entry(1)), 1);
    EXPECT_EQ(*pair_->push(entry(2)), 2);
    EXPECT_EQ(*pair_->push(entry(3)), 3);
    EXPECT_TRUE(pair_->full());
    EXPECT_EQ(pair_->push(entry(4)).error(), Error::no_space);
    serve();
    EXPECT_EQ(pair_->next()->command, 1);
    EXPECT_EQ(*pair_->push(entry(4)), 0);
}

TEST_F(QueuePairTest, ImpossibleSubmissionHeadsAreNotBelieved) {
    make();
    ASSERT_TRUE(pair_->push(entry(1)));
    post(1, 3);  // beyond the tail
    EXPECT_FALSE(pair_->next()->sound);
    post(1, 9);  // beyond the queue
    EXPECT_FALSE(pair_->next()->sound);
    post(1, 1);
    EXPECT_TRUE(pair_->next()->sound);
}

TEST_F(QueuePairTest, RefusesImpossibleQueues) {
    EXPECT_FALSE(QueuePair::create(submission_->bytes, completion_->bytes, 1));
    EXPECT_FALSE(QueuePair::create(submission_->bytes, completion_->bytes, 65));
    EXPECT_FALSE(QueuePair::create(std::span{submission_->bytes}.subspan(16), completion_->bytes, 2));
}

}  // namespace
}  // namespace pv::nvme
