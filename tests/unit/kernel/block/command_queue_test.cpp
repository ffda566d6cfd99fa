// A queue in threads' hands, with a device that answers when the test says so.
// SPDX-License-Identifier: MIT
#include "block/command_queue.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hosted/control.hpp"

namespace pv::block {
namespace {

using namespace literals;

constexpr marker::Device device{0x80};

class FakeQueue final : public CommandQueue {
  public:
    explicit FakeQueue(std::size_t limit, Duration patience = Duration::max())
        : CommandQueue{{"fake0", device, 1}, Generations::on_wire, limit, patience} {}

    /// The device answers for `wire`; with an interrupt, or silently.
    void answer(std::uint16_t wire, std::uint16_t status, bool raise = true) {
        {
            std::lock_guard guard{mutex};
            answers.push_back({wire, status});
        }
        if (raise) {
            interrupt();
        }
    }

    /// Commands that the device was told of.
    std::size_t heard_of() {
        std::lock_guard guard{mutex};
        return told;
    }

    std::vector<std::uint16_t> seen() {
        std::lock_guard guard{mutex};
        return published;
    }

    int expirations = 0;

  private:
    struct Answer {
        std::uint16_t wire;
        std::uint16_t status;
    };

    void publish(CommandId id, bool more) override {
        std::lock_guard guard{mutex};
        published.push_back(id.wire);
        told = more ? told : published.size();
    }

    void ring() override {
        std::lock_guard guard{mutex};
        told = published.size();
    }

    void drain() override {
        std::deque<Answer> now;
        {
            std::lock_guard guard{mutex};
            now.swap(answers);
        }
        for (const Answer& answer : now) {
            arrived(answer.wire, answer.status, 0);
        }
    }

    void expired(CommandId) override { ++expirations; }

    std::mutex mutex;
    std::deque<Answer> answers;
    std::vector<std::uint16_t> published;
    std::size_t told = 0;  ///< of `published`
};

Submission submission(Duration deadline, dma::Mapping data = {}) {
    return {.operation = marker::Operation::read,
            .first = 40,
            .blocks = 8,
            .deadline = Deadline::after(deadline),
            .data = std::move(data)};
}

constexpr auto nothing = [](CommandId, const Command&) -> Result<> { return {}; };

std::size_t count(const std::vector<hosted::Marker>& markers, std::uint32_t number) {
    std::size_t n = 0;
    for (const auto& marker : markers) {
        n += marker.number == number ? 1 : 0;
    }
    return n;
}

class CommandQueueTest : public testing::Test {
  protected:
    void SetUp() override {
        (void)hosted::take_markers();
        (void)hosted::take_log();
    }

    std::unique_ptr<FakeQueue> queue_ = std::make_unique<FakeQueue>(4);
};

TEST_F(CommandQueueTest, AnswerReachesTheCaller) {
    std::thread answerer{[&] {
        while (queue_->seen().empty()) {
            std::this_thread::yield();
        }
        queue_->answer(queue_->seen().front(), 3);
    }};
    const auto outcome = queue_->execute(submission(5_s), nothing);
    answerer.join();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, 3);
    const auto markers = hosted::take_markers();
    EXPECT_EQ(count(markers, PV_MARKER_command_submit), 1U);
    EXPECT_EQ(count(markers, PV_MARKER_command_complete), 1U);
    EXPECT_EQ(count(markers, PV_MARKER_command_timeout), 0U);
}

// LEDGER H2: a device that does not answer cannot hold a thread.
TEST_F(CommandQueueTest, TimeoutWithinTheDeadlineAndQuarantineUntilTheAnswer) {
    dma::Pages pages = *dma::Pages::allocate(4096);
    const Instant begun = now();
    const auto outcome = queue_->execute(
        submission(50_ms, *dma::Mapping::map(device, pages, 0, 4096, dma::Direction::from_device)), nothing);
    const Duration taken = now() - begun;
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error(), Error::timed_out);
    EXPECT_GE(taken, 50_ms);
    EXPECT_LT(taken, 550_ms);  // the slack the kernel promises
    EXPECT_EQ(queue_->expirations, 1);
    EXPECT_TRUE(pages.quarantined());
    EXPECT_EQ(queue_->owed(), 1U);
    queue_->answer(queue_->seen().front(), 0);
    EXPECT_FALSE(pages.quarantined());
    EXPECT_EQ(queue_->owed(), 0U);
    const auto markers = hosted::take_markers();
    EXPECT_EQ(count(markers, PV_MARKER_command_timeout), 1U);
    EXPECT_EQ(count(markers, PV_MARKER_dma_quarantine), 1U);
    EXPECT_EQ(count(markers, PV_MARKER_dma_unmap), 1U);
    std::string text;
    for (const auto& line : hosted::take_log()) {
        text += line + "\n";
    }
    EXPECT_NE(text.find("fake0: read lba 40, 8 blocks timed out"), std::string::npos) << text;
    EXPECT_NE(text.find("too late for its caller"), std::string::npos) << text;
}

// The queue's patience ends before the request's deadline: the recovery is told, the caller waits on.
TEST_F(CommandQueueTest, ImpatientQueueTellsItsDriverAndDeliversWhatComes) {
    FakeQueue queue{4, 30_ms};
    dma::Pages pages = *dma::Pages::allocate(4096);
    std::thread answerer{[&] {
        while (queue.overdue() == 0) {
            std::this_thread::yield();
        }
        EXPECT_FALSE(pages.quarantined()) << "its owner waits for it";
        queue.answer(queue.seen().front(), 5);
    }};
    const auto outcome = queue.execute(
        submission(20_s, *dma::Mapping::map(device, pages, 0, 4096, dma::Direction::from_device)), nothing);
    answerer.join();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, 5);
    EXPECT_EQ(queue.expirations, 1);
    EXPECT_EQ(queue.overdue(), 0U);
    EXPECT_FALSE(pages.quarantined());
    const auto markers = hosted::take_markers();
    EXPECT_EQ(count(markers, PV_MARKER_command_timeout), 1U);
    EXPECT_EQ(count(markers, PV_MARKER_command_complete), 1U);
}

TEST_F(CommandQueueTest, RecoveryEndsWhatWaitsAndOnceOnly) {
    FakeQueue queue{4, 30_ms};
    dma::Pages pages = *dma::Pages::allocate(4096);
    std::thread recovery{[&] {
        while (queue.overdue() == 0) {
            std::this_thread::yield();
        }
        const auto first = queue.next_to_abort();
        EXPECT_TRUE(first && queue.owes(*first));
        EXPECT_FALSE(queue.next_to_abort()) << "each is asked for once";
        queue.fail_all(Error::interrupted);
        EXPECT_FALSE(queue.owes(*first));
    }};
    const auto outcome = queue.execute(
        submission(20_s, *dma::Mapping::map(device, pages, 0, 4096, dma::Direction::from_device)), nothing);
    recovery.join();
    EXPECT_EQ(outcome.error(), Error::interrupted);
    EXPECT_FALSE(pages.quarantined());
    // A completion that comes after all touches nothing.
    queue.answer(queue.seen().front(), 0);
    EXPECT_EQ(queue.counts().refused, 1U);
    EXPECT_EQ(count(hosted::take_markers(), PV_MARKER_command_failed), 1U);
}

TEST_F(CommandQueueTest, SuspendedQueueTakesNothingUntilResumed) {
    queue_->suspend();
    EXPECT_EQ(queue_->submit(submission(5_s), CommandQueue::Room::now, nothing).error(), Error::busy);
    EXPECT_EQ(queue_->submit(submission(30_ms), CommandQueue::Room::wait, nothing).error(), Error::timed_out);
    std::thread resumer{[&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_TRUE(queue_->seen().empty());
        queue_->resume();
    }};
    EXPECT_TRUE(queue_->submit(submission(20_s), CommandQueue::Room::wait, nothing));
    resumer.join();
    EXPECT_EQ(queue_->seen().size(), 1U);
    queue_->end_all();
    const auto markers = hosted::take_markers();
    EXPECT_EQ(count(markers, PV_MARKER_queue_suspend), 1U);
    EXPECT_EQ(count(markers, PV_MARKER_queue_resume), 1U);
}

TEST_F(CommandQueueTest, SaysWhatWaitsWhileItWaits) {
    const auto outcome = queue_->execute(submission(1300_ms), nothing);
    EXPECT_FALSE(outcome);
    std::string text;
    for (const auto& line : hosted::take_log()) {
        text += line + "\n";
    }
    EXPECT_NE(text.find("fake0: read lba 40, 8 blocks waits 1."), std::string::npos) << text;
    queue_->fail_all(Error::cancelled);
}

TEST_F(CommandQueueTest, CompletionWithoutInterruptIsFoundAtTheDeadline) {
    std::thread answerer{[&] {
        while (queue_->seen().empty()) {
            std::this_thread::yield();
        }
        queue_->answer(queue_->seen().front(), 0, false);
    }};
    const auto outcome = queue_->execute(submission(100_ms), nothing);
    answerer.join();
    EXPECT_TRUE(outcome);
}

TEST_F(CommandQueueTest, UnknownCompletionIsRefusedAndCounted) {
    queue_->answer(0x1234, 0);
    EXPECT_EQ(queue_->counts().refused, 1U);
    EXPECT_EQ(count(hosted::take_markers(), PV_MARKER_command_refused), 1U);
}

TEST_F(CommandQueueTest, FullQueueTimesOutWithoutSubmitting) {
    std::vector<CommandId> ids;
    for (int i = 0; i < 4; ++i) {
        ids.push_back(*queue_->submit(submission(5_s), CommandQueue::Room::wait, nothing));
    }
    EXPECT_EQ(queue_->submit(submission(5_s), CommandQueue::Room::now, nothing).error(), Error::busy);
    EXPECT_EQ(queue_->submit(submission(30_ms), CommandQueue::Room::wait, nothing).error(), Error::timed_out);
    EXPECT_EQ(queue_->seen().size(), 4U);
    queue_->fail_all(Error::cancelled);
}

TEST_F(CommandQueueTest, PassedDeadlineSubmitsNothing) {
    EXPECT_EQ(queue_->submit(submission(0_ns), CommandQueue::Room::wait, nothing).error(), Error::timed_out);
    EXPECT_TRUE(queue_->seen().empty());
}

TEST_F(CommandQueueTest, FailedPreparationGivesTheMemoryBack) {
    const auto live = dma::statistics().live;
    dma::Pages pages = *dma::Pages::allocate(4096);
    const auto id =
        queue_->submit(submission(1_s, *dma::Mapping::map(device, pages, 0, 512, dma::Direction::to_device)),
                       CommandQueue::Room::wait,
                       [](CommandId, const Command&) -> Result<> { return fail(Error::invalid_argument); });
    EXPECT_EQ(id.error(), Error::invalid_argument);
    EXPECT_EQ(dma::statistics().live, live);
    EXPECT_EQ(queue_->owed(), 0U);
}

TEST_F(CommandQueueTest, ClosingWakesWhoWaits) {
    std::thread closer{[&] {
        while (queue_->seen().empty()) {
            std::this_thread::yield();
        }
        queue_->close("test");
    }};
    const auto outcome = queue_->execute(submission(20_s), nothing);
    closer.join();
    EXPECT_EQ(outcome.error(), Error::device_failed);
    EXPECT_EQ(queue_->submit(submission(1_s), CommandQueue::Room::wait, nothing).error(),
              Error::device_failed);
    queue_->fail_all(Error::cancelled);
    EXPECT_EQ(queue_->owed(), 0U);
}

// Who waits for room while the queue is suspended can use no wake-up, and must not keep one from who settles
// it.
TEST_F(CommandQueueTest, SettlingHearsOfTheLastOneBesideWhoWantsRoom) {
    constexpr Duration soon = Duration::milliseconds(900);  // by itself it looks once a second
    bool heard = false;
    for (int attempt = 0; attempt < 5 && !heard; ++attempt) {
        FakeQueue queue{4};
        const auto last = queue.submit(submission(5_s), CommandQueue::Room::now, nothing);
        ASSERT_TRUE(last);
        queue.suspend();
        std::thread wants_room{[&] {
            const auto one = queue.submit(submission(5_s), CommandQueue::Room::wait, nothing);
            if (one) {
                queue.answer(one->wire, 0);
                EXPECT_TRUE(queue.wait(*one));
            }
        }};
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        std::thread takes_last{[&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            queue.answer(last->wire, 0);
            EXPECT_TRUE(queue.wait(*last));
        }};
        const Instant begun = now();
        EXPECT_TRUE(queue.settle(Deadline::after(4_s)));
        heard = now() - begun < soon;
        takes_last.join();
        queue.resume();
        wants_room.join();
    }
    EXPECT_TRUE(heard);
}

TEST_F(CommandQueueTest, MoreIsToldWithTheNext) {
    Submission first = submission(5_s);
    first.more = true;
    const auto one = queue_->submit(std::move(first), CommandQueue::Room::now, nothing);
    EXPECT_EQ(queue_->seen().size(), 1U);
    EXPECT_EQ(queue_->heard_of(), 0U);
    const auto two = queue_->submit(submission(5_s), CommandQueue::Room::now, nothing);
    EXPECT_EQ(queue_->heard_of(), 2U);
    ASSERT_TRUE(one && two);
    EXPECT_FALSE(queue_->has_ended(*one));
    queue_->answer(one->wire, 0);
    EXPECT_TRUE(queue_->has_ended(*one));
    EXPECT_FALSE(queue_->has_ended(*two));
    queue_->answer(two->wire, 0);
    EXPECT_TRUE(queue_->wait(*one));
    EXPECT_TRUE(queue_->wait(*two));
}

TEST_F(CommandQueueTest, WhatIsUntoldIsToldToWhoeverWaits) {
    Submission alone = submission(5_s);
    alone.more = true;
    std::thread answerer{[&] {
        while (queue_->heard_of() == 0) {
            std::this_thread::yield();
        }
        queue_->answer(queue_->seen().front(), 0);
    }};
    EXPECT_TRUE(queue_->execute(std::move(alone), nothing));
    answerer.join();
}

TEST_F(CommandQueueTest, WhatIsUntoldIsToldWhenThereIsNoRoom) {
    for (std::size_t i = 0; i < 4; ++i) {
        Submission one = submission(5_s);
        one.more = true;
        ASSERT_TRUE(queue_->submit(std::move(one), CommandQueue::Room::now, nothing));
    }
    EXPECT_EQ(queue_->heard_of(), 0U);
    const auto refused = queue_->submit(submission(5_s), CommandQueue::Room::now, nothing);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Error::busy);
    EXPECT_EQ(queue_->heard_of(), 4U);
    queue_->end_all();
}

TEST_F(CommandQueueTest, WhatIsUntoldIsToldBeforeARecovery) {
    Submission one = submission(5_s);
    one.more = true;
    ASSERT_TRUE(queue_->submit(std::move(one), CommandQueue::Room::now, nothing));
    queue_->suspend();
    EXPECT_EQ(queue_->heard_of(), 1U);
    queue_->end_all();
}

TEST_F(CommandQueueTest, OneDoorbellIsForEightAtMost) {
    FakeQueue wide{16};
    for (std::size_t i = 0; i < 9; ++i) {
        Submission one = submission(5_s);
        one.more = true;
        ASSERT_TRUE(wide.submit(std::move(one), CommandQueue::Room::now, nothing));
        EXPECT_EQ(wide.heard_of(), i < 7 ? 0U : 8U);
    }
    wide.end_all();
}

TEST_F(CommandQueueTest, ManyThreadsShareFewSlots) {
    std::atomic<bool> stop{false};
    std::thread answerer{[&] {
        std::size_t done = 0;
        while (!stop.load()) {
            const auto seen = queue_->seen();
            for (; done < seen.size(); ++done) {
                queue_->answer(seen[done], 0);
            }
            std::this_thread::yield();
        }
    }};
    std::atomic<int> good{0};
    std::vector<std::thread> callers;
    for (int t = 0; t < 8; ++t) {
        callers.emplace_back([&] {
            for (int i = 0; i < 50; ++i) {
                good += queue_->execute(submission(20_s), nothing) ? 1 : 0;
            }
        });
    }
    for (auto& caller : callers) {
        caller.join();
    }
    stop = true;
    answerer.join();
    EXPECT_EQ(good, 400);
    EXPECT_EQ(queue_->counts().refused, 0U);
}

}  // namespace
}  // namespace pv::block
