// Benchmark: frames and heap on more and more CPUs at once, beside the common allocator without stocks.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <atomic>
#include <new>

#include "base/log.hpp"
#include "boot/memory.hpp"
#include "boot/tests.hpp"
#include "memory/frames.hpp"
#include "memory/heap.hpp"
#include "on_cpus.hpp"
#include "task/lock.hpp"

namespace pv::guest_test {
namespace {

constexpr std::uint64_t pairs = 40'000;
constexpr int rounds = 7;
constexpr std::size_t at_once = 8;

using Work = void (*)();

void heap_work() {
    std::array<void*, at_once> objects{};
    for (std::uint64_t i = 0; i < pairs; i += at_once) {
        for (std::size_t k = 0; k < at_once; ++k) {
            objects[k] = ::operator new(32U << (k % 4), std::nothrow);
        }
        for (void* object : objects) {
            ::operator delete(object);
        }
    }
}

void frame_work() {
    std::array<PhysicalAddress, at_once> frames{};
    for (std::uint64_t i = 0; i < pairs; i += at_once) {
        for (PhysicalAddress& frame : frames) {
            frame = memory::allocate_frames(0).value_or(PhysicalAddress(0));
        }
        for (const PhysicalAddress frame : frames) {
            memory::free_frames(frame, 0);
        }
    }
}

void common_work() {
    std::array<PhysicalAddress, at_once> frames{};
    for (std::uint64_t i = 0; i < pairs; i += at_once) {
        for (PhysicalAddress& frame : frames) {
            frame = boot::allocate_common(0).value_or(PhysicalAddress(0));
        }
        for (const PhysicalAddress frame : frames) {
            boot::free_common(frame, 0);
        }
    }
}

struct Crew {
    Work work = nullptr;
    unsigned size = 0;
    std::atomic<unsigned> arrived{0};

    // From the first beginning to the last end.
    task::Guarded<std::array<std::uint64_t, 2>, task::Rank::leaf> span;

    void note(std::uint64_t begin, std::uint64_t end) {
        span.with([&](auto& whole) {
            whole[0] = whole[0] == 0 ? begin : std::min(whole[0], begin);
            whole[1] = std::max(whole[1], end);
        });
    }

    void meet() {
        ++arrived;
        const Deadline end = Deadline::after(cpus_patience);
        while (arrived < size && !end.expired()) {
            task::yield();
        }
    }
};

// Nanoseconds for `count` CPUs to do the work once each, all at the same time.
std::uint64_t time_of(Work work, unsigned count) {
    Crew crew;
    crew.work = work;
    crew.size = count;
    std::array<task::Thread, 64> threads;
    for (unsigned cpu = 0; cpu < count; ++cpu) {
        auto thread = task::Thread::create(
            "bench",
            [](void* argument) {
                auto& c = *static_cast<Crew*>(argument);
                c.meet();
                const std::uint64_t begin = now().since_boot().to_nanoseconds();
                c.work();
                c.note(begin, now().since_boot().to_nanoseconds());
            },
            &crew, task::Priority::normal, cpu);
        PV_EXPECT(thread.has_value());
        threads[cpu] = std::move(*thread);
    }
    for (unsigned cpu = 0; cpu < count; ++cpu) {
        PV_EXPECT(threads[cpu].join(Deadline::after(cpus_patience)).has_value());
    }
    const auto whole = crew.span.with([](const auto& w) { return w; });
    return std::max<std::uint64_t>(whole[1] - whole[0], 1);
}

}  // namespace

// Figures, not verdicts. Sides in turn, medians.
PV_GUEST_TEST(bench_memory) {
    struct Side {
        std::string_view name;
        Work work;
    };

    constexpr std::array sides{Side{"heap", heap_work}, Side{"frames", frame_work},
                               Side{"frames without stocks", common_work}};
    for (unsigned count = 1; count <= arch::cpu_count(); count *= 2) {
        std::array<std::array<std::uint64_t, rounds>, sides.size()> times{};
        std::array<std::uint64_t, sides.size()> refills{};
        for (std::size_t round = 0; round < rounds; ++round) {
            for (std::size_t side = 0; side < sides.size(); ++side) {
                const std::uint64_t before =
                    memory::heap_statistics().refills + memory::frame_statistics().refills;
                times[side][round] = time_of(sides[side].work, count);
                refills[side] +=
                    memory::heap_statistics().refills + memory::frame_statistics().refills - before;
            }
        }
        for (std::size_t side = 0; side < sides.size(); ++side) {
            std::sort(times[side].begin(), times[side].end());
            const std::uint64_t median = times[side][rounds / 2];
            log::info("bench: {}: {} CPUs: {} thousand pairs a second, {} refills a million pairs",
                      sides[side].name, count, count * pairs * 1'000'000 / median,
                      refills[side] * 1'000'000 / (count * pairs * rounds));
        }
    }
}

}  // namespace pv::guest_test
