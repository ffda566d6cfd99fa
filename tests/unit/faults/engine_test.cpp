// Which requests a fault catches, for how long, and that nothing is kept for ever.
// SPDX-License-Identifier: MIT
#include "faults/nbdkit/engine.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace pv::faults::nbdkit {
namespace {

using namespace std::chrono_literals;

class FaultEngine : public testing::Test {
  protected:
    std::uint64_t add(std::string_view text) { return engine.add(parse_fault(text).value()).value(); }

    int pass(Operation operation, std::uint64_t offset = 0, std::uint64_t length = 512) {
        return engine.pass({operation, offset, length}, [this] { return interrupted.load(); }).error;
    }

    std::future<int> pass_later(Operation operation) {
        return std::async(std::launch::async, [this, operation] { return pass(operation); });
    }

    void until_holding(std::uint64_t count) {
        const auto deadline = Clock::now() + 10s;
        while (engine.stats().holding != count && Clock::now() < deadline) {
            std::this_thread::sleep_for(1ms);
        }
        ASSERT_EQ(engine.stats().holding, count);
    }

    std::atomic<bool> interrupted = false;
    std::mutex lock;
    std::vector<Event> events;
    Engine engine{[this](const Event& event) {
        const std::scoped_lock hold{lock};
        events.push_back(event);
    }};
};

TEST_F(FaultEngine, FailsTheNthAndNoOther) {
    add("fail disk0 write 3 ENOSPC");
    EXPECT_EQ(pass(Operation::write), 0);
    EXPECT_EQ(pass(Operation::read), 0);
    EXPECT_EQ(pass(Operation::write), 0);
    EXPECT_EQ(pass(Operation::write, 4096), ENOSPC);
    EXPECT_EQ(pass(Operation::write), 0);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_TRUE(events[0].begin);
    EXPECT_FALSE(events[1].begin);
    EXPECT_EQ(events[0].request, events[1].request);
    EXPECT_EQ(events[0].what.offset, 4096U);
    EXPECT_EQ(engine.stats().writes, 4U);
    EXPECT_EQ(engine.stats().failed, 1U);
}

TEST_F(FaultEngine, FailsForEverAfterSome) {
    add("fail disk0 any after 2");
    EXPECT_EQ(pass(Operation::flush), 0);
    EXPECT_EQ(pass(Operation::trim), 0);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(pass(Operation::zero), EIO);
    }
}

TEST_F(FaultEngine, FailsSoManyTimes) {
    add("fail disk0 read times 2 EPERM");
    EXPECT_EQ(pass(Operation::read), EPERM);
    EXPECT_EQ(pass(Operation::read), EPERM);
    EXPECT_EQ(pass(Operation::read), 0);
}

TEST_F(FaultEngine, RangeMeansOverlap) {
    add("fail disk0 any at 4k+4k");
    EXPECT_EQ(pass(Operation::read, 0, 4096), 0);
    EXPECT_EQ(pass(Operation::read, 0, 4097), EIO);
    EXPECT_EQ(pass(Operation::write, 8191, 1), EIO);
    EXPECT_EQ(pass(Operation::write, 8192, 512), 0);
    EXPECT_EQ(pass(Operation::flush, 0, 0), 0) << "a flush touches no range";
}

TEST_F(FaultEngine, HoldsUntilReleased) {
    const auto id = add("stall disk0 read");
    auto answer = pass_later(Operation::read);
    until_holding(1);
    EXPECT_EQ(answer.wait_for(100ms), std::future_status::timeout);
    EXPECT_EQ(pass(Operation::write), 0) << "others go on";
    EXPECT_TRUE(engine.release(id));
    EXPECT_EQ(answer.get(), 0);
    EXPECT_EQ(engine.stats().holding, 0U);
    // Still armed: the next is held again, and removal lets it go.
    answer = pass_later(Operation::read);
    until_holding(1);
    EXPECT_TRUE(engine.remove(id));
    EXPECT_EQ(answer.get(), 0);
    EXPECT_FALSE(engine.remove(id));
    EXPECT_FALSE(engine.release(id));
}

TEST_F(FaultEngine, HoldsForItsTimeCountedFromTheFirst) {
    add("stall disk0 read for 300ms");
    const auto start = Clock::now();
    auto first = pass_later(Operation::read);
    until_holding(1);
    std::this_thread::sleep_for(150ms);
    auto second = pass_later(Operation::read);
    EXPECT_EQ(first.get(), 0);
    EXPECT_GE(Clock::now() - start, 300ms);
    EXPECT_EQ(second.get(), 0);
    EXPECT_LT(Clock::now() - start, 440ms) << "the second waits for the same end, not for a time of its own";
    EXPECT_EQ(pass(Operation::read), 0);
    EXPECT_EQ(engine.stats().held, 2U);
    EXPECT_FALSE(engine.list().front().armed);
}

TEST_F(FaultEngine, ReleaseAllDisarms) {
    add("stall disk0 read");
    add("fail disk0 write");
    auto answer = pass_later(Operation::read);
    until_holding(1);
    engine.release_all();
    EXPECT_EQ(answer.get(), 0);
    EXPECT_EQ(pass(Operation::read), 0);
    EXPECT_EQ(pass(Operation::write), 0);
}

TEST_F(FaultEngine, DelaysEach) {
    add("delay disk0 any by 60ms");
    for (int i = 0; i < 2; ++i) {
        const auto start = Clock::now();
        EXPECT_EQ(pass(Operation::write), 0);
        EXPECT_GE(Clock::now() - start, 60ms);
    }
}

TEST_F(FaultEngine, SeveralFaultsActInTheirOrder) {
    add("delay disk0 any by 30ms");
    add("fail disk0 any");
    const auto start = Clock::now();
    EXPECT_EQ(pass(Operation::read), EIO);
    EXPECT_GE(Clock::now() - start, 30ms);
    EXPECT_EQ(events.size(), 4U);
}

TEST_F(FaultEngine, AnInterruptedRequestIsLetGo) {
    add("stall disk0 read");
    auto answer = pass_later(Operation::read);
    until_holding(1);
    interrupted = true;
    EXPECT_EQ(answer.get(), ESHUTDOWN);
    EXPECT_EQ(events.size(), 2U);
}

TEST_F(FaultEngine, RefusesTooMany) {
    for (std::size_t i = 0; i < Engine::most_faults; ++i) {
        add("fail disk0 read 1000");
    }
    EXPECT_FALSE(engine.add(parse_fault("fail disk0 read").value()));
}

TEST_F(FaultEngine, EveryNthIsCaughtAfterThoseThatPass) {
    add("fail disk0 write after 2 every 3 times 2 EIO");
    std::vector<int> answers;
    for (int i = 0; i < 12; ++i) {
        answers.push_back(pass(Operation::write));
    }
    EXPECT_EQ(answers, (std::vector<int>{0, 0, 0, 0, EIO, 0, 0, EIO, 0, 0, 0, 0}));
}

TEST_F(FaultEngine, CorruptedRequestsAreCarriedOutWrongly) {
    add("corrupt disk0 read 2");
    const auto answer = [&](Operation operation) {
        return engine.pass({operation, 0, 512}, [] { return false; });
    };
    EXPECT_EQ(answer(Operation::read), (Answer{0, false}));
    EXPECT_EQ(answer(Operation::write), (Answer{0, false}));
    EXPECT_EQ(answer(Operation::read), (Answer{0, true}));
    EXPECT_EQ(answer(Operation::read), (Answer{0, false}));
    EXPECT_EQ(engine.stats().corrupted, 1U);
}

TEST_F(FaultEngine, AReorderedRequestGoesAfterTheNext) {
    add("reorder disk0 read 1");
    auto first = pass_later(Operation::read);
    until_holding(1);
    EXPECT_EQ(pass(Operation::write), 0);
    EXPECT_EQ(engine.stats().holding, 1U) << "the other has passed, and is not done yet";
    engine.ended();
    EXPECT_EQ(first.get(), 0);
    EXPECT_EQ(engine.stats().reordered, 1U);
}

TEST_F(FaultEngine, AReorderedRequestThatIsAloneGoesOnAfterAWhile) {
    add("reorder disk0 any 1");
    const auto begin = Clock::now();
    EXPECT_EQ(pass(Operation::flush), 0);
    EXPECT_GE(Clock::now() - begin, 250ms);
}

}  // namespace
}  // namespace pv::faults::nbdkit
