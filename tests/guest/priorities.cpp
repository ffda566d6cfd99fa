// Turns and priorities: what is left of a turn, who comes first, and where.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <atomic>

#include "arch/processor.hpp"
#include "base/log.hpp"
#include "boot/tests.hpp"
#include "on_cpus.hpp"
#include "task/control_block.hpp"
#include "task/park.hpp"
#include "task/scheduler.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::guest_test {
namespace {

using namespace literals;

struct Spinner {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> spins{0};
    std::atomic<task::ControlBlock*> control{nullptr};
    std::atomic<unsigned> cpu{~0U};
};

void spin(void* argument) {
    auto& spinner = *static_cast<Spinner*>(argument);
    spinner.control = &task::current();
    while (!spinner.stop.load(std::memory_order_relaxed)) {
        spinner.cpu.store(arch::current_cpu(), std::memory_order_relaxed);
        spinner.spins.fetch_add(1, std::memory_order_relaxed);
    }
}

task::Thread start(std::string_view name, Spinner& spinner, task::Priority priority, unsigned cpu) {
    auto thread = task::Thread::create(name, spin, &spinner, priority, cpu);
    PV_EXPECT(thread.has_value());
    return std::move(*thread);
}

void stop(Spinner& spinner, task::Thread& thread) {
    spinner.stop = true;
    PV_EXPECT(thread.join(Deadline::after(cpus_patience)).has_value());
}

// More urgent than all others: it decides when what happens.
void direct(void (*function)(void*), void* argument) {
    auto director = task::Thread::create("director", function, argument, task::Priority::high, 0);
    PV_EXPECT(director.has_value());
    PV_EXPECT(director->join(Deadline::after(cpus_patience)).has_value());
}

}  // namespace

namespace {

/// Two that wake each other and wait, without an end, until they are stopped.
struct Pair {
    std::array<task::WaitQueue, 2> queues;
    std::atomic<std::uint64_t> ball{0};
    std::atomic<bool> stop{false};
    std::array<std::atomic<task::ControlBlock*>, 2> controls{};
};

template <std::uint64_t side>
void pass(void* argument) {
    auto& pair = *static_cast<Pair*>(argument);
    pair.controls[side] = &task::current();
    while (!pair.stop) {
        static_cast<void>(pair.queues[side].wait(Deadline::after(cpus_patience),
                                                 [&] { return pair.ball % 2 == side || pair.stop; }));
        ++pair.ball;
        pair.queues[1 - side].wake_one();
    }
}

}  // namespace

// Those that often wait have their share of a processor beside one that never does.
PV_GUEST_TEST(who_often_waits_has_its_share) {
    direct(
        [](void*) {
            Pair pair;
            std::array<task::Thread, 2> players;
            void (*const functions[])(void*) = {pass<0>, pass<1>};
            Spinner hog;
            for (std::size_t i = 0; i < players.size(); ++i) {
                auto player = task::Thread::create("player", functions[i], &pair, task::Priority::normal, 0);
                PV_EXPECT(player.has_value());
                players[i] = std::move(*player);
            }
            task::Thread hogs = start("hog", hog, task::Priority::normal, 0);
            task::sleep(2_s);
            Duration playing;
            for (const auto& control : pair.controls) {
                playing = playing + task::Scheduler::account(*control.load()).ran.total;
            }
            const Duration hogging = task::Scheduler::account(*hog.control.load()).ran.total;
            pair.stop = true;
            for (task::WaitQueue& queue : pair.queues) {
                queue.wake_all();
            }
            for (task::Thread& player : players) {
                PV_EXPECT(player.join(Deadline::after(cpus_patience)).has_value());
            }
            stop(hog, hogs);
            log::info("the pair ran for {}, the other for {}", playing, hogging);
            PV_EXPECT(playing > hogging / 4 && hogging > playing / 4);
        },
        nullptr);
}

// One that comes often and for a moment only does not keep equals from their turns.
PV_GUEST_TEST(turns_are_kept) {
    direct(
        [](void*) {
            std::array<Spinner, 2> spinners;
            std::array<task::Thread, 2> threads;
            for (std::size_t i = 0; i < threads.size(); ++i) {
                threads[i] = start("equal", spinners[i], task::Priority::normal, 0);
            }
            const Deadline end = Deadline::after(2_s);
            while (!end.expired()) {
                task::sleep(3_ms);
            }
            const std::uint64_t one = spinners[0].spins;
            const std::uint64_t other = spinners[1].spins;
            for (std::size_t i = 0; i < threads.size(); ++i) {
                stop(spinners[i], threads[i]);
            }
            log::info("{} and {} rounds", one, other);
            PV_EXPECT(std::min(one, other) > std::max(one, other) / 4);
        },
        nullptr);
}

// Of real-time threads on one CPU the one of the highest priority runs, whoever came first; and they leave a
// part to others.
PV_GUEST_TEST(real_time_comes_first) {
    direct(
        [](void*) {
            std::array<Spinner, 4> spinners;
            std::array<task::Thread, 4> threads;
            const std::array priorities{task::Priority::normal, task::real_time_priority(1),
                                        task::real_time_priority(99), task::real_time_priority(70)};
            for (std::size_t i = 0; i < threads.size(); ++i) {
                threads[i] = start("real time", spinners[i], priorities[i], 0);
            }
            task::sleep(300_ms);
            PV_EXPECT(spinners[2].spins > 0);
            PV_EXPECT(spinners[0].spins == 0 && spinners[1].spins == 0 && spinners[3].spins == 0);
            task::sleep(3_s);
            const std::uint64_t others = spinners[0].spins;
            log::info("{} rounds of real time, {} of others", spinners[2].spins.load(), others);
            PV_EXPECT(others > 0 && others < spinners[2].spins / 4);
            PV_EXPECT(spinners[1].spins == 0 && spinners[3].spins == 0);
            stop(spinners[2], threads[2]);
            task::sleep(20_ms);
            PV_EXPECT(spinners[1].spins == 0 && spinners[3].spins > 0);
            for (const std::size_t i : {3UZ, 1UZ, 0UZ}) {
                stop(spinners[i], threads[i]);
            }
        },
        nullptr);
}

// A real-time thread that waits behind a more urgent one goes where something less urgent begins.
PV_GUEST_TEST(real_time_goes_where_it_may_run) {
    PV_EXPECT(arch::cpu_count() == 2);
    direct(
        [](void*) {
            Spinner first;
            Spinner second;
            Spinner waiting;
            Spinner usual;
            auto waiting_thread = start("waiting", waiting, task::real_time_priority(40), 1);
            while (waiting.spins == 0) {
                task::sleep(1_ms);
            }
            auto usual_thread = start("usual", usual, task::Priority::normal, 0);
            auto first_thread = start("first", first, task::real_time_priority(50), 0);
            auto second_thread = start("second", second, task::real_time_priority(60), 1);
            while (first.spins == 0 || second.spins == 0) {
                task::sleep(1_ms);
            }
            task::Scheduler::allow(*waiting.control, arch::CpuSet().set());
            task::sleep(50_ms);
            const std::uint64_t before = waiting.spins;
            task::sleep(50_ms);
            PV_EXPECT(waiting.spins == before && waiting.cpu == 1);
            first.stop = true;
            const Instant begin = now();
            while (waiting.cpu != 0 && now() - begin < 5_s) {
                task::sleep(1_ms);
            }
            const Duration took = now() - begin;
            log::info("on the other CPU after {}", took);
            PV_EXPECT(took < 300_ms);
            stop(waiting, waiting_thread);
            stop(second, second_thread);
            stop(usual, usual_thread);
            PV_EXPECT(first_thread.join(Deadline::after(cpus_patience)).has_value());
        },
        nullptr);
}

}  // namespace pv::guest_test
