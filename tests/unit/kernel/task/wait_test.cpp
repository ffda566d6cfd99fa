// Wait queues and locks under real concurrency (and ThreadSanitizer): no wake-up lost, ranks kept.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <utility>
#include <vector>

#include "base/marker.hpp"
#include "hosted/control.hpp"
#include "interrupt/vector.hpp"
#include "task/lock.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::task {
namespace {

using namespace literals;

TEST(WaitQueue, TimesOutNotBeforeItsDeadline) {
    WaitQueue queue;
    const Instant begin = now();
    const auto result = queue.wait(Deadline::after(30_ms), [] { return false; });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error(), Error::timed_out);
    EXPECT_GE(now() - begin, 30_ms);
}

TEST(WaitQueue, DoesNotSleepWhenItHoldsAlready) {
    hosted::take_markers();
    WaitQueue queue;
    EXPECT_TRUE(queue.wait(Deadline::after(0_ns), [] { return true; }));
    EXPECT_TRUE(hosted::take_markers().empty());
}

TEST(WaitQueue, MarksWhatItWaitsFor) {
    hosted::take_markers();
    WaitQueue queue;
    static_cast<void>(queue.wait(Deadline::after(5_ms), [] { return false; }));
    const auto markers = hosted::take_markers();
    ASSERT_EQ(markers.size(), 2U);
    EXPECT_EQ(markers[0].number, PV_MARKER_wait_begin);
    EXPECT_EQ(markers[0].args[1], static_cast<std::uint64_t>(PV_WAIT_QUEUE));
    EXPECT_LE(markers[0].args[2], (5_ms).to_nanoseconds());
    EXPECT_GT(markers[0].args[2], 0U);
    EXPECT_EQ(markers[0].args[3], reinterpret_cast<std::uintptr_t>(&queue));
    EXPECT_EQ(markers[1].number, PV_MARKER_wait_end);
    EXPECT_EQ(markers[1].args[0], markers[0].args[0]);
    EXPECT_EQ(markers[1].args[1], static_cast<std::uint64_t>(PV_WAIT_TIMED_OUT));
}

TEST(WaitQueue, SaysThatAWaitWithoutADeadlineIsForWork) {
    hosted::take_markers();
    WaitQueue queue;
    bool looked = false;
    EXPECT_TRUE(queue.wait(Deadline::never("a test"), [&] { return std::exchange(looked, true); }));
    const auto markers = hosted::take_markers();
    ASSERT_EQ(markers.size(), 2U);
    EXPECT_EQ(markers[0].args[1], static_cast<std::uint64_t>(PV_WAIT_IDLE));
}

struct Tokens {
    WaitQueue queue;
    std::atomic<int> available{0};
    std::atomic<int> taken{0};
    std::atomic<int> lost{0};
    std::atomic<bool> closed{false};

    bool take() {
        int have = available.load();
        while (have > 0) {
            if (available.compare_exchange_weak(have, have - 1)) {
                return true;
            }
        }
        return false;
    }
};

// LEDGER R21. Takers that leave by their deadline at the moment they are picked must pass the wake-up on.
TEST(LedgerWaitQueue, LosesNoWakeUp) {
    constexpr int each = 4000;
    Tokens tokens;
    std::vector<Thread> threads;
    const auto start = [&](void (*function)(void*)) {
        auto thread = Thread::create("worker", function, &tokens);
        ASSERT_TRUE(thread);
        threads.push_back(std::move(*thread));
    };
    for (int i = 0; i < 2; ++i) {
        start([](void* argument) {
            auto& t = *static_cast<Tokens*>(argument);
            while (!t.closed) {
                if (!t.queue.wait(Deadline::after(10_s), [&] { return t.closed.load() || t.take(); })) {
                    ++t.lost;
                    return;
                }
                t.taken += t.closed ? 0 : 1;
            }
        });
        start([](void* argument) {
            auto& t = *static_cast<Tokens*>(argument);
            while (!t.closed) {
                if (t.queue.wait(Deadline::after(20_us), [&] { return t.closed.load() || t.take(); })) {
                    t.taken += t.closed ? 0 : 1;
                }
            }
        });
    }
    std::vector<std::thread> makers;
    for (int i = 0; i < 2; ++i) {
        makers.emplace_back([&] {
            for (int n = 0; n < each; ++n) {
                ++tokens.available;
                tokens.queue.wake_one();
            }
        });
    }
    for (std::thread& maker : makers) {
        maker.join();
    }
    const Deadline end = Deadline::after(15_s);
    while (tokens.taken < 2 * each && tokens.lost == 0 && !end.expired()) {
        sleep(1_ms);
    }
    EXPECT_EQ(tokens.taken, 2 * each);
    EXPECT_EQ(tokens.lost, 0);
    tokens.closed = true;
    tokens.queue.wake_all();
    for (Thread& thread : threads) {
        EXPECT_TRUE(thread.join(Deadline::after(15_s)));
    }
}

// The race itself, made to happen: the waker picks a waiter between its last look and its leaving.
TEST(LedgerWaitQueue, PassesOnAWakeUpItCannotUse) {
    Tokens tokens;
    auto second = Thread::create(
        "second",
        [](void* argument) {
            auto& t = *static_cast<Tokens*>(argument);
            sleep(50_ms);  // behind the first in the queue
            const Instant begin = now();
            EXPECT_TRUE(t.queue.wait(Deadline::after(10_s), [&] { return t.take(); }));
            EXPECT_LT(now() - begin, 5_s) << "slept on although there was a token";
        },
        &tokens);
    ASSERT_TRUE(second);
    const Deadline deadline = Deadline::after(200_ms);
    bool raced = false;
    const auto first = tokens.queue.wait(deadline, [&] {
        if (deadline.expired() && !raced) {
            raced = true;
            ++tokens.available;
            tokens.queue.wake_one();
        }
        return false;
    });
    EXPECT_FALSE(first);
    EXPECT_TRUE(raced);
    EXPECT_TRUE(second->join(Deadline::after(20_s)));
}

TEST(Mutex, ExcludesAndTimesOut) {
    SleepGuarded<std::array<int, 2>, Rank::sleeping_leaf> pair;
    std::vector<Thread> threads;
    for (int i = 0; i < 4; ++i) {
        auto thread = Thread::create(
            "adder",
            [](void* argument) {
                auto& p = *static_cast<decltype(&pair)>(argument);
                for (int n = 0; n < 2000; ++n) {
                    EXPECT_TRUE(p.with(Deadline::after(20_s), [](auto& both) {
                        EXPECT_EQ(both[0], both[1]);
                        ++both[0];
                        ++both[1];
                    }));
                }
            },
            &pair);
        ASSERT_TRUE(thread);
        threads.push_back(std::move(*thread));
    }
    for (Thread& thread : threads) {
        EXPECT_TRUE(thread.join(Deadline::after(60_s)));
    }
    EXPECT_EQ(*pair.with(Deadline::after(1_s), [](auto& both) { return both[1]; }), 8000);

    Mutex mutex(Rank::controller);
    ASSERT_TRUE(mutex.lock(Deadline::after(1_s)));
    std::thread([&] { EXPECT_EQ(mutex.lock(Deadline::after(5_ms)).error(), Error::timed_out); }).join();
    mutex.unlock();
}

// LEDGER H11.
// A lock that misses its rank may spin for ever instead: the child of a death test then dies of this,
// silently.
void give_up_soon() {
    alarm(10);
}

TEST(LedgerLockRank, OutOfOrderPanics) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Guarded<int, Rank::queue> outer(1);
    Guarded<int, Rank::frames> inner(2);
    EXPECT_EQ(outer.with([&](int& a, const Held<Rank::queue>& held) {
        return inner.with(held, [&](int& b) { return a + b; });
    }),
              3);
    EXPECT_DEATH((give_up_soon(), inner.with([&](int&) { outer.with([](int&) {}); })),
                 "lock rank violation: taking \"queue\" \\(20\\) while holding \"frames\" \\(48\\)");
    EXPECT_DEATH((give_up_soon(), outer.with([&](int&) { outer.with([](int&) {}); })), "lock rank violation");
    Mutex mutex(Rank::block_device);
    EXPECT_DEATH(
        (give_up_soon(), outer.with([&](int&) { static_cast<void>(mutex.lock(Deadline::after(1_ms))); })),
        "broken invariant");
    EXPECT_EQ(spinning_ranks(), 0U);
}

// The same in types: taking queue under frames does not compile, frames under queue does.
template <class Lock, Rank Outer>
concept MayNest = requires(Lock& lock, const Held<Outer>& held) { lock.with(held, [](int&) {}); };

static_assert(MayNest<Guarded<int, Rank::frames>, Rank::queue>);
static_assert(!MayNest<Guarded<int, Rank::queue>, Rank::frames>);
static_assert(!MayNest<Guarded<int, Rank::queue>, Rank::queue>);

TEST(Thread, JoinHasADeadline) {
    std::atomic<bool> stop{false};
    auto thread = Thread::create(
        "busy",
        [](void* argument) {
            while (!*static_cast<std::atomic<bool>*>(argument)) {
                yield();
            }
        },
        &stop);
    ASSERT_TRUE(thread);
    EXPECT_EQ(thread->join(Deadline::after(5_ms)).error(), Error::timed_out);
    EXPECT_TRUE(thread->joinable());
    stop = true;
    EXPECT_TRUE(thread->join(Deadline::after(10_s)));
    EXPECT_FALSE(thread->joinable());
    EXPECT_EQ(thread->join(Deadline::after(1_ms)).error(), Error::invalid_argument);
}

TEST(Vector, RaisesItsHandlerUntilItGoes) {
    int raised = 0;
    interrupt::Message message;
    {
        auto vector = interrupt::Vector::allocate("test", [](void* n) { ++*static_cast<int*>(n); }, &raised);
        ASSERT_TRUE(vector);
        message = vector->message();
        hosted::raise(message);
        EXPECT_EQ(raised, 1);
        EXPECT_EQ(vector->count(), 1U);
    }
    const std::uint64_t spurious = interrupt::spurious_count();
    hosted::raise(message);
    EXPECT_EQ(raised, 1);
    EXPECT_EQ(interrupt::spurious_count(), spurious + 1);
}

}  // namespace
}  // namespace pv::task
