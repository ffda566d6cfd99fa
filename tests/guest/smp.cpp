// Several CPUs: all run, locks hold between them, memory is shared out, the clock is one, silence is noticed.
// SPDX-License-Identifier: MIT
#include <array>
#include <atomic>
#include <cstring>
#include <new>

#include "acpi/tables.hpp"
#include "arch/x86_64/clock.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/log.hpp"
#include "boot/tests.hpp"
#include "interrupt/vector.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"
#include "memory/heap.hpp"
#include "on_cpus.hpp"
#include "task/lock.hpp"

namespace pv::guest_test {
namespace {

using namespace literals;

struct SeenCpus {
    std::array<std::atomic<unsigned>, 64> threads{};
    std::array<std::atomic<std::uint32_t>, 64> apic_ids{};
    std::array<std::atomic<std::uint64_t>, 64> cr0{};
    std::array<std::atomic<std::uint64_t>, 64> cr4{};
    std::array<std::atomic<std::uint64_t>, 64> efer{};
    std::atomic<std::uint32_t> strayed{0};
};

void look_at_cpu(void* argument) {
    auto& seen = *static_cast<SeenCpus*>(argument);
    const unsigned cpu = arch::current_cpu();
    ++seen.threads[cpu];
    seen.apic_ids[cpu] = arch::LocalApic::id();
    seen.cr0[cpu] = arch::read_cr0();
    seen.cr4[cpu] = arch::read_cr4();
    seen.efer[cpu] = arch::read_msr(arch::Msr::efer);
    for (int i = 0; i < 50; ++i) {
        task::yield();
        if (i % 10 == 0) {
            task::sleep(1_ms);
        }
        seen.strayed += arch::current_cpu() == cpu ? 0U : 1U;
    }
}

// Each CPU the firmware lists runs, keeps the threads that are pinned to it, and is protected like the first.
void check_all_cpus(std::size_t absent) {
    std::size_t enabled = 0;
    for (const acpi::LocalApic& processor : acpi::tables().processors) {
        enabled += processor.enabled ? 1 : 0;
    }
    PV_EXPECT(arch::cpu_count() == enabled - absent);
    SeenCpus seen;
    on_each_cpu("looker", look_at_cpu, &seen);
    PV_EXPECT(seen.strayed == 0);
    constexpr std::uint64_t caches_off = 3ULL << 29;  // CR0.CD and NW
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        PV_EXPECT(seen.threads[cpu] == 1);
        PV_EXPECT(seen.apic_ids[cpu] == arch::cpu(cpu).apic_id);
        PV_EXPECT(seen.cr0[cpu] == seen.cr0[0] && (seen.cr0[cpu] & caches_off) == 0);
        PV_EXPECT((seen.cr0[cpu] & arch::cr0_write_protect) != 0);
        PV_EXPECT(seen.cr4[cpu] == seen.cr4[0]);
        PV_EXPECT((seen.efer[cpu] & arch::efer_nx) != 0 && seen.efer[cpu] == seen.efer[0]);
    }
    PV_EXPECT(!task::Thread::create(
                   "nowhere", [](void*) {}, nullptr, task::Priority::normal, arch::cpu_count())
                   .has_value());
    log::info("{} CPUs run", arch::cpu_count());
}

}  // namespace

PV_GUEST_TEST(all_cpus_run) {
    check_all_cpus(0);
}

PV_GUEST_TEST(all_cpus_run_but_one) {
    check_all_cpus(1);
}

PV_GUEST_TEST(umip_is_on_when_offered) {
    // CPUID.7.0:ECX bit 2; CR4 bit 11.
    const bool offered = arch::cpuid(0).eax >= 7 && (arch::cpuid(7).ecx & 1U << 2) != 0;
    SeenCpus seen;
    on_each_cpu("looker", look_at_cpu, &seen);
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        PV_EXPECT(((seen.cr4[cpu] & arch::cr4_umip) != 0) == offered);
    }
    log::info("UMIP {}", offered ? "offered and on" : "not offered");
}

// What other CPUs were started in is gone: nothing is mapped in the lower half, and the page is nobody's.
PV_GUEST_TEST(trampoline_is_gone) {
    std::uint64_t low = 0;
    std::uint64_t leaves = 0;
    arch::kernel_page_table().for_each([&](const arch::Leaf& leaf) {
        ++leaves;
        low += leaf.address.value() < arch::memory_half ? 1U : 0U;
    });
    PV_EXPECT(leaves > 10);
    PV_EXPECT(low == 0);
}

namespace {

struct Books {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
};

constexpr std::uint64_t bookings = 20'000;

struct Counters {
    task::Guarded<Books, task::Rank::leaf> spinning;
    task::SleepGuarded<Books, task::Rank::sleeping_leaf> sleeping;
    std::atomic<std::uint64_t> torn{0};
    StartLine line;
};

void book(void* argument) {
    auto& counters = *static_cast<Counters*>(argument);
    counters.line.wait();
    for (std::uint64_t i = 0; i < bookings; ++i) {
        counters.spinning.with([&](Books& books) {
            counters.torn += books.a == books.b ? 0U : 1U;
            ++books.a;
            arch::relax();
            ++books.b;
        });
        if (i % 16 == 0) {
            const auto done = counters.sleeping.with(Deadline::after(cpus_patience), [&](Books& books) {
                counters.torn += books.a == books.b ? 0U : 1U;
                ++books.a;
                arch::relax();
                ++books.b;
            });
            PV_EXPECT(done.has_value());
        }
    }
}

}  // namespace

PV_GUEST_TEST(locks_exclude_across_cpus) {
    Counters counters;
    on_each_cpu("booker", book, &counters);
    PV_EXPECT(counters.torn == 0);
    const std::uint64_t cpus = arch::cpu_count();
    PV_EXPECT(counters.spinning.with([](const Books& books) { return books.b; }) == cpus * bookings);
    const auto slow =
        counters.sleeping.with(Deadline::after(1_s), [](const Books& books) { return books.b; });
    PV_EXPECT(slow.has_value() && *slow == cpus * (bookings / 16));
}

namespace {

struct Delivered {
    std::atomic<unsigned> on{~0U};
    std::atomic<std::uint32_t> count{0};
};

void note_delivery(void* argument) {
    auto& delivered = *static_cast<Delivered*>(argument);
    delivered.on = arch::current_cpu();
    ++delivered.count;
}

}  // namespace

// Each CPU's vector: the message names its APIC id, and the handler runs there.
PV_GUEST_TEST(vectors_arrive_on_their_cpu) {
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        Delivered delivered;
        auto vector = interrupt::Vector::allocate("test", note_delivery, &delivered, cpu);
        PV_EXPECT(vector.has_value() && vector->cpu() == cpu);
        const interrupt::Message message = vector->message();
        PV_EXPECT((message.address >> 12 & 0xff) == arch::cpu(cpu).apic_id);
        arch::LocalApic::interrupt(static_cast<std::uint32_t>(message.address >> 12 & 0xff),
                                   static_cast<std::uint8_t>(message.data));
        const Deadline end = Deadline::after(5_s);
        while (delivered.count == 0 && !end.expired()) {
            task::sleep(100_us);
        }
        PV_EXPECT(delivered.count == 1 && delivered.on == cpu);
    }
    PV_EXPECT(!interrupt::Vector::allocate("test", note_delivery, nullptr, arch::cpu_count()).has_value());
}

namespace {

/// Blocks that one CPU makes and another one gives back.
struct Exchange {
    struct Item {
        Item* next = nullptr;
        std::uint64_t size = 0;  ///< bytes from the heap; 0: a single page frame
    };

    struct Pile {
        Item* first = nullptr;
    };

    task::Guarded<Pile, task::Rank::leaf> pile;
    std::atomic<std::uint32_t> seed{1};
    std::atomic<std::uint64_t> corrupted{0};
    std::atomic<std::uint64_t> passed{0};
    StartLine line;
};

std::uint32_t draw(std::uint32_t& state) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

Exchange::Item* make_item(std::uint32_t& random) {
    void* memory = nullptr;
    std::uint64_t size = 0;
    if (draw(random) % 2 == 0) {
        const auto frame = memory::allocate_frames(0);
        memory = frame ? memory::to_pointer<void>(*frame) : nullptr;
    } else {
        size = sizeof(Exchange::Item) + draw(random) % 1000;
        memory = ::operator new(static_cast<std::size_t>(size), std::nothrow);
    }
    if (memory == nullptr) {
        return nullptr;
    }
    // Every byte after the item is the item's own address's.
    auto* item = ::new (memory) Exchange::Item{nullptr, size};
    const std::size_t length = static_cast<std::size_t>((size == 0 ? page_size : size) - sizeof *item);
    std::memset(item + 1, static_cast<int>(reinterpret_cast<std::uintptr_t>(item) >> 5 & 0xff), length);
    return item;
}

bool end_item(Exchange::Item* item) {
    const std::uint64_t size = item->size;
    const std::size_t length = static_cast<std::size_t>((size == 0 ? page_size : size) - sizeof *item);
    const auto wanted = static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(item) >> 5);
    const auto* bytes = reinterpret_cast<const unsigned char*>(item + 1);
    bool whole = true;
    for (std::size_t i = 0; i < length; ++i) {
        whole = whole && bytes[i] == wanted;
    }
    if (size == 0) {
        memory::free_frames(memory::to_physical(item), 0);
    } else {
        ::operator delete(item);
    }
    return whole;
}

constexpr int exchanges = 6'000;

void exchange_blocks(void* argument) {
    auto& exchange = *static_cast<Exchange*>(argument);
    std::uint32_t random = exchange.seed.fetch_add(7919) * 2654435761U | 1;
    exchange.line.wait();
    for (int i = 0; i < exchanges; ++i) {
        if (Exchange::Item* made = make_item(random); made != nullptr) {
            exchange.pile.with([&](Exchange::Pile& pile) {
                made->next = pile.first;
                pile.first = made;
            });
        }
        Exchange::Item* taken = exchange.pile.with([&](Exchange::Pile& pile) {
            Exchange::Item* first = draw(random) % 4 == 0 ? nullptr : pile.first;
            pile.first = first == nullptr ? pile.first : first->next;
            return first;
        });
        if (taken != nullptr) {
            exchange.corrupted += end_item(taken) ? 0U : 1U;
            ++exchange.passed;
        }
    }
}

void drain_here(void*) {
    memory::drain_heap();
}

// Threads that were joined are gone a moment later: what is in use once nothing goes any more.
memory::HeapStatistics settled_heap() {
    const Deadline end = Deadline::after(5_s);
    memory::HeapStatistics before = memory::heap_statistics();
    for (int same = 0; same < 20 && !end.expired();) {
        task::sleep(1_ms);
        const memory::HeapStatistics now = memory::heap_statistics();
        same = now.objects == before.objects ? same + 1 : 0;
        before = now;
    }
    return before;
}

}  // namespace

// LEDGER H17.
PV_GUEST_TEST(memory_stress_across_cpus) {
    on_each_cpu("warm", drain_here, nullptr);
    const memory::HeapStatistics heap = settled_heap();
    const memory::FrameStatistics frames = memory::frame_statistics();
    Exchange exchange;
    on_each_cpu("exchanger", exchange_blocks, &exchange);
    Exchange::Item* left = exchange.pile.unguarded().first;
    while (left != nullptr) {
        Exchange::Item* next = left->next;
        exchange.corrupted += end_item(left) ? 0U : 1U;
        ++exchange.passed;
        left = next;
    }
    PV_EXPECT(exchange.corrupted == 0);
    PV_EXPECT(exchange.passed == std::uint64_t{arch::cpu_count()} * exchanges);
    const std::uint64_t objects = settled_heap().objects;
    log::info("{} objects in use before, {} afterwards", heap.objects, objects);
    PV_EXPECT(objects == heap.objects);
    on_each_cpu("drainer", drain_here, nullptr);
    memory::drain_heap();
    const memory::FrameStatistics after = memory::frame_statistics();
    // Slabs that stocks of the drainers' own control blocks hold, and one empty slab a class.
    const std::uint64_t kept = 8 * (memory::slab_classes.size() + 2 * arch::cpu_count());
    PV_EXPECT(after.free + kept >= frames.free);
    const std::uint64_t refills =
        after.refills - frames.refills + memory::heap_statistics().refills - heap.refills;
    // Nearly all calls are served by the CPU's own stock.
    PV_EXPECT(refills * 16 < exchange.passed);
    log::info("{} blocks made on one CPU and freed on another, {} refills of stocks", exchange.passed.load(),
              refills);
}

namespace {

struct Ticks {
    task::Guarded<Instant, task::Rank::leaf> last;
    std::atomic<std::uint64_t> backwards{0};
};

void read_clock(void* argument) {
    auto& ticks = *static_cast<Ticks*>(argument);
    for (int i = 0; i < 20'000; ++i) {
        ticks.last.with([&](Instant& last) {
            const Instant time = now();
            ticks.backwards += time < last ? 1U : 0U;
            last = time;
        });
    }
}

}  // namespace

PV_GUEST_TEST(clock_is_one_across_cpus) {
    Ticks ticks;
    on_each_cpu("reader", read_clock, &ticks);
    PV_EXPECT(ticks.backwards == 0);
    PV_EXPECT(arch::plain_clock_scale().has_value());
    // And where counters differ: programs cannot make the clock of theirs.
    arch::keep_clock_monotonic();
    PV_EXPECT(!arch::plain_clock_scale().has_value());
    on_each_cpu("reader", read_clock, &ticks);
    PV_EXPECT(ticks.backwards == 0);
    log::info("the clock never went back");
}

namespace {

[[gnu::noinline]] void hang_with_interrupts_off(std::atomic<bool>& hanging, Instant until) {
    arch::disable_interrupts();
    hanging = true;
    while (now() < until) {
        arch::relax();
    }
    arch::restore_interrupts(true);
}

struct Hang {
    std::atomic<bool> hanging{false};
    Duration span;
};

void hang(void* argument) {
    auto& h = *static_cast<Hang*>(argument);
    hang_with_interrupts_off(h.hanging, now() + h.span);
}

}  // namespace

// LEDGER R9: the runner reads where the other CPUs were.
PV_GUEST_TEST(panic_shows_all_cpus) {
    static Hang stuck{{}, 60_s};
    auto thread = task::Thread::create("stuck", hang, &stuck, task::Priority::high, arch::cpu_count() - 1);
    PV_EXPECT(thread.has_value());
    while (!stuck.hanging) {
        task::sleep(1_ms);
    }
    panic("with another CPU busy");
}

// The runner reads the watchdog's lines.
PV_GUEST_TEST(watchdog_reports_a_silent_cpu) {
    Hang stuck{{}, 4_s};
    auto thread = task::Thread::create("silent", hang, &stuck, task::Priority::high, arch::cpu_count() - 1);
    PV_EXPECT(thread.has_value());
    PV_EXPECT(thread->join(Deadline::after(cpus_patience)).has_value());
    task::sleep(1500_ms);
}

namespace {

[[gnu::noinline]] void run_greedily(Instant until) {
    while (now() < until) {
        arch::relax();
    }
}

}  // namespace

// The same: interrupts are on, but nobody of a lower priority runs. Here this test's own thread is kept
// waiting.
PV_GUEST_TEST(watchdog_reports_a_greedy_thread) {
    auto thread = task::Thread::create(
        "greedy", [](void*) { run_greedily(now() + 3_s); }, nullptr, task::Priority::high, 0);
    PV_EXPECT(thread.has_value());
    PV_EXPECT(thread->join(Deadline::after(cpus_patience)).has_value());
}

}  // namespace pv::guest_test
