// Threads among several CPUs: they spread, are taken over, are woken at once, and no wake-up is lost.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <atomic>

#include "base/log.hpp"
#include "boot/tests.hpp"
#include "on_cpus.hpp"
#include "task/control_block.hpp"
#include "task/park.hpp"
#include "task/scheduler.hpp"
#include "task/wait_queue.hpp"

namespace pv::guest_test {
namespace {

using namespace literals;

struct Spreading {
    std::atomic<bool> stop{false};
    std::array<std::atomic<std::uint64_t>, 64> turns{};
};

void turn_on_any_cpu(void* argument) {
    auto& spreading = *static_cast<Spreading*>(argument);
    while (!spreading.stop.load(std::memory_order_relaxed)) {
        spreading.turns[arch::current_cpu()].fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace

// Threads made on one CPU run on all; and one that waits behind a busy one is taken over by an idle CPU.
PV_GUEST_TEST(threads_spread) {
    Spreading spreading;
    std::array<task::Thread, 64> threads;
    const unsigned cpus = arch::cpu_count();
    for (unsigned i = 0; i < cpus; ++i) {
        auto thread = task::Thread::create("spreader", turn_on_any_cpu, &spreading);
        PV_EXPECT(thread.has_value());
        threads[i] = std::move(*thread);
    }
    const Deadline end = Deadline::after(20_s);
    unsigned used = 0;
    while (used < cpus && !end.expired()) {
        task::sleep(10_ms);
        used = 0;
        for (unsigned cpu = 0; cpu < cpus; ++cpu) {
            used += spreading.turns[cpu] > 0 ? 1U : 0U;
        }
    }
    spreading.stop = true;
    for (unsigned i = 0; i < cpus; ++i) {
        PV_EXPECT(threads[i].join(Deadline::after(cpus_patience)).has_value());
    }
    PV_EXPECT(used == cpus);
    log::info("{} busy threads ran on {} CPUs", cpus, used);
}

namespace {

/// A thread that wakes by its own timer where a more urgent one is busy.
struct Moving {
    std::atomic<unsigned> was_on{~0U};
    std::atomic<unsigned> woke_on{~0U};
    std::atomic<std::uint64_t> due_ns{0};
    std::atomic<std::uint64_t> woke_ns{0};
    std::atomic<bool> busy{false};
    std::atomic<bool> stop{false};
};

}  // namespace

// The others are idle and have looked around already: one of them is told.
PV_GUEST_TEST(idle_cpu_takes_over) {
    Moving moving;
    auto mover = task::Thread::create(
        "mover",
        [](void* argument) {
            auto& m = *static_cast<Moving*>(argument);
            const Instant due = now() + 100_ms;
            m.due_ns = due.since_boot().to_nanoseconds();
            m.was_on = arch::current_cpu();
            task::sleep_until(due);
            m.woke_ns = now().since_boot().to_nanoseconds();
            m.woke_on = arch::current_cpu();
        },
        &moving);
    PV_EXPECT(mover.has_value());
    while (moving.was_on == ~0U) {
        task::sleep(1_ms);
    }
    task::sleep(5_ms);
    auto blocker = task::Thread::create(
        "blocker",
        [](void* argument) {
            auto& m = *static_cast<Moving*>(argument);
            m.busy = true;
            while (!m.stop) {
                arch::relax();
            }
        },
        &moving, task::Priority::high, moving.was_on);
    PV_EXPECT(blocker.has_value());
    PV_EXPECT(mover->join(Deadline::after(20_s)).has_value());
    PV_EXPECT(moving.busy);
    moving.stop = true;
    PV_EXPECT(blocker->join(Deadline::after(cpus_patience)).has_value());
    PV_EXPECT(moving.woke_on != moving.was_on);
    const Duration late = Duration::nanoseconds(moving.woke_ns - moving.due_ns);
    log::info("taken over by CPU {}, {} after it was ready", moving.woke_on.load(), late);
    PV_EXPECT(late < 500_ms);  // an idle CPU's next timer interrupt would find it as well, up to 1 s later
}

namespace {

/// Pairs of CPUs that pass a ball to and fro. A wake-up that is lost between looking and sleeping leaves one
/// of them asleep until its long deadline, though the ball is there: that is what is counted.
struct Rally {
    struct Pair {
        std::array<task::WaitQueue, 2> players;
        std::atomic<std::uint64_t> ball{0};
    };

    std::array<Pair, 4> pairs;
    StartLine line;
    std::atomic<std::uint64_t> lost{0};
};

constexpr std::uint64_t passes = 5'000;

void play(void* argument) {
    auto& rally = *static_cast<Rally*>(argument);
    const unsigned cpu = arch::current_cpu();
    Rally::Pair& pair = rally.pairs[cpu / 2];
    const std::uint64_t side = cpu % 2;
    std::uint64_t random = 12345 + cpu;
    const auto draw_bits = [&random](std::uint64_t mask) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        return random >> 33 & mask;
    };
    // So that the one's wake-up meets the other's going to sleep at any of its steps.
    const auto dawdle = [&] {
        for (std::uint64_t i = draw_bits(0x1ff); i > 0; --i) {
            __asm__ volatile("" ::: "memory");
        }
    };
    rally.line.wait();
    for (std::uint64_t i = 0; i < passes && rally.lost == 0; ++i) {
        // Half of the time awake when the ball comes, so that it is passed on at once.
        for (std::uint64_t left = draw_bits(1) * 2'000; left > 0 && pair.ball % 2 != side; --left) {
            __asm__ volatile("" ::: "memory");
        }
        dawdle();
        const Instant begin = now();
        const auto got = pair.players[side].wait(Deadline::after(20_s),
                                                 [&] { return pair.ball % 2 == side || rally.lost > 0; });
        rally.lost += got && now() - begin < 15_s ? 0U : 1U;
        dawdle();
        ++pair.ball;
        pair.players[1 - side].wake_one();
    }
}

}  // namespace

// LEDGER R21.
PV_GUEST_TEST(no_wake_up_is_lost_between_cpus) {
    PV_EXPECT(arch::cpu_count() % 2 == 0 && arch::cpu_count() <= 8);
    Rally rally;
    on_each_cpu("player", play, &rally);
    PV_EXPECT(rally.lost == 0);
    log::info("{} passes between {} CPUs, none lost", passes, arch::cpu_count());
}

namespace {

struct Sleeper {
    task::WaitQueue queue;
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> woken{0};
    std::atomic<std::uint64_t> took_ns{0};
    std::atomic<std::uint64_t> called_at_ns{0};
};

constexpr std::uint64_t calls = 20;

void be_woken(void* argument) {
    auto& sleeper = *static_cast<Sleeper*>(argument);
    std::uint64_t best = ~std::uint64_t{0};
    for (std::uint64_t i = 1; i <= calls; ++i) {
        PV_EXPECT(sleeper.queue.wait(Deadline::after(cpus_patience), [&] { return sleeper.calls >= i; })
                      .has_value());
        best = std::min(best, now().since_boot().to_nanoseconds() - sleeper.called_at_ns);
        sleeper.woken = i;
    }
    sleeper.took_ns = best;
}

}  // namespace

// An idle CPU is called, not found by chance at its next timer interrupt.
PV_GUEST_TEST(wakes_across_cpus_at_once) {
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        Sleeper sleeper;
        auto thread = task::Thread::create("sleeper", be_woken, &sleeper, task::Priority::normal, cpu);
        PV_EXPECT(thread.has_value());
        for (std::uint64_t i = 1; i <= calls; ++i) {
            task::sleep(2_ms);
            sleeper.called_at_ns = now().since_boot().to_nanoseconds();
            sleeper.calls = i;
            sleeper.queue.wake_all();
            const Deadline end = Deadline::after(cpus_patience);
            while (sleeper.woken < i && !end.expired()) {
                arch::relax();
                task::yield();
            }
        }
        PV_EXPECT(thread->join(Deadline::after(cpus_patience)).has_value());
        const Duration best = Duration::nanoseconds(sleeper.took_ns);
        log::info("CPU {} runs a woken thread after {} at best", cpu, best);
        PV_EXPECT(best < 5_ms);  // of 20: the machine is shared
    }
}

namespace {

/// A thread that answers whoever calls it. It begins on another CPU than the asker's, and may go to any.
struct Answering {
    task::WaitQueue calls;
    task::WaitQueue answers;
    std::uint64_t questions = 0;
    std::atomic<std::uint64_t> called{0};
    std::atomic<std::uint64_t> answered{0};
    std::atomic<task::ControlBlock*> answerer{nullptr};

    [[nodiscard]] bool is_answered() const { return answered == called; }
};

void answer(void* argument) {
    auto& all = *static_cast<Answering*>(argument);
    task::Scheduler::allow(task::current(), arch::CpuSet().set());
    all.answerer = &task::current();
    for (std::uint64_t i = 1; i <= all.questions; ++i) {
        PV_EXPECT(
            all.calls.wait(Deadline::after(cpus_patience), [&] { return all.called >= i; }).has_value());
        all.answered = i;
        all.answers.wake_all();
    }
}

// Calls `ask` for each question: it wakes the answerer, and the answer is there in the end.
template <class F>
void ask_all(Answering& all, std::uint64_t questions, F&& ask) {
    all.questions = questions;
    const unsigned elsewhere = arch::current_cpu() == 0 ? 1 : 0;
    auto thread = task::Thread::create("answerer", answer, &all, task::Priority::normal, elsewhere);
    PV_EXPECT(thread.has_value());
    while (all.answerer == nullptr) {
        task::sleep(1_ms);
    }
    task::sleep(5_ms);  // it waits by now
    for (std::uint64_t i = 1; i <= questions; ++i) {
        all.called = i;
        ask();
        PV_EXPECT(all.is_answered());
    }
    PV_EXPECT(thread->join(Deadline::after(cpus_patience)).has_value());
}

void wait_busily(const Answering& all) {
    const Deadline end = Deadline::after(5_s);
    while (!all.is_answered() && !end.expired()) {
        arch::relax();
    }
}

}  // namespace

// Who is woken by a thread that is expected to wait next comes to its CPU, though the one it was on before
// has nothing to do and would have it at once.
PV_GUEST_TEST(woken_threads_come_to_their_waker) {
    Answering all;
    unsigned here = 0;
    ask_all(all, 100, [&] {
        task::current().waking = {};  // it goes on in what follows, and would be known for that
        {
            const arch::InterruptsOff off;
            all.calls.wake_all();
            const task::Scheduler* its = all.answerer.load()->scheduler.load(std::memory_order_relaxed);
            here += its == task::current().scheduler.load(std::memory_order_relaxed) ? 1U : 0U;
        }
        wait_busily(all);   // so that it is on another CPU when it is woken again
        task::sleep(1_ms);  // and waits there
    });
    log::info("{} of {} times", here, all.questions);
    PV_EXPECT(here > all.questions / 2);
}

// And waits for none that goes on instead, however long that one's turn is. An idle CPU would find it by
// itself, up to a second later: that must not be how, most of the time (the machine is shared).
PV_GUEST_TEST(woken_threads_do_not_wait_for_a_waker_that_goes_on) {
    task::Scheduler::set_priority(task::current(), task::Priority::normal, Duration::max());
    Answering all;
    unsigned late = 0;
    ask_all(all, 600, [&] {
        const Instant begin = now();
        all.calls.wake_all();
        wait_busily(all);
        late += now() - begin > 100_ms ? 1U : 0U;
    });
    log::info("{} of {} answers came late", late, all.questions);
    PV_EXPECT(late < 5);
    task::Scheduler::set_priority(task::current(), task::Priority::normal, task::usual_turn);
}

// One that goes on once wakes the next one elsewhere, and no more; where it goes on again, twice as many;
// where it waits, half of that. The machine is shared: most of the time.
PV_GUEST_TEST(wakers_are_known_by_what_they_do) {
    const task::ControlBlock::Waking& waking = task::current().waking;
    Answering all;
    std::array<unsigned, 6> as_told{};
    ask_all(all, 60, [&] {
        constexpr task::ControlBlock::Waking cases[] = {{0, 0}, {0, 3}, {0, 7}, {5, 2}, {0, 2}, {0, 0}};
        constexpr task::ControlBlock::Waking after[] = {{1, 1}, {8, 4}, {128, 7}, {4, 2}, {0, 1}, {0, 0}};
        const std::size_t which = (all.called - 1) % std::size(cases);
        task::current().waking = cases[which];
        all.calls.wake_all();
        if (which < 4) {
            wait_busily(all);
        } else {
            PV_EXPECT(all.answers.wait(Deadline::after(cpus_patience), [&] { return all.is_answered(); })
                          .has_value());
        }
        as_told[which] +=
            waking.at_once == after[which].at_once && waking.doublings == after[which].doublings ? 1U : 0U;
        task::sleep(1_ms);  // the answerer waits again
    });
    for (const unsigned times : as_told) {
        log::info("{} of {} times", times, all.questions / as_told.size());
        PV_EXPECT(times > all.questions / as_told.size() / 2);
    }
}

}  // namespace pv::guest_test
