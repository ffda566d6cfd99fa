// The shootdown: all CPUs forget, the sender knows, nobody waits for ever.
// SPDX-License-Identifier: MIT
#include <array>
#include <atomic>

#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/kernel_space.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/tlb.hpp"
#include "base/log.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"
#include "on_cpus.hpp"
#include "task/lock.hpp"

namespace pv::guest_test {
namespace {

using namespace literals;

/// A page of kernel space that shows one of two frames; global, like all of the kernel's.
class Window {
  public:
    Window() {
        for (std::size_t i = 0; i < frames_.size(); ++i) {
            auto frames = memory::Frames::allocate(0);
            PV_EXPECT(frames.has_value());
            frames_[i] = std::move(*frames);
            *memory::to_pointer<std::uint64_t>(frames_[i].address()) = i;
        }
        const auto space = arch::reserve_space(page_size);
        PV_EXPECT(space.has_value());
        at_ = *space;
        show(0);
    }

    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    ~Window() {
        if (arch::unmap_pages(at_, page_size)) {
            arch::release_space(at_, page_size);
        }
    }

    /// What this CPU sees there.
    [[nodiscard]] std::uint64_t read() const {
        return *reinterpret_cast<const volatile std::uint64_t*>(at_.value());
    }

    /// Shows frame `which`; true when all CPUs have acknowledged that they forgot the other one.
    bool turn(std::size_t which) {
        const Result<> unmapped = arch::unmap_pages(at_, page_size);
        show(which);
        return unmapped.has_value();
    }

    [[nodiscard]] VirtualAddress address() const { return at_; }

  private:
    void show(std::size_t which) {
        PV_EXPECT(arch::map_pages(at_, frames_[which].address(), page_size, arch::Access::read_write,
                                  arch::Cache::write_back)
                      .has_value());
    }

    std::array<memory::Frames, 2> frames_;
    VirtualAddress at_{};
};

struct Audience {
    Window window;
    std::atomic<std::uint64_t> round{0};
    std::atomic<std::uint64_t> expected{0};
    std::atomic<unsigned> seen{0};
    std::atomic<std::uint64_t> stale{0};
    std::atomic<bool> over{false};
};

// Reads with the translation in the TLB, again and again; after each turn the new frame must be there.
void watch_window(void* argument) {
    auto& audience = *static_cast<Audience*>(argument);
    std::uint64_t last = 0;
    while (!audience.over) {
        const std::uint64_t round = audience.round.load();
        if (round == last) {
            task::sleep(50_us);
            continue;
        }
        last = round;
        audience.stale += audience.window.read() == audience.expected.load() ? 0U : 1U;
        ++audience.seen;
    }
}

void await_audience(Audience& audience) {
    const Deadline end = Deadline::after(cpus_patience);
    while (audience.seen < arch::cpu_count() && !end.expired()) {
        task::sleep(50_us);
    }
    PV_EXPECT(audience.seen == arch::cpu_count());
}

}  // namespace

// LEDGER C17: after flush returned, no CPU uses the old entry, though it is global and no CR3 is written.
PV_GUEST_TEST(shootdown_reaches_all_cpus) {
    PV_EXPECT((arch::read_cr4() & arch::cr4_global_pages) != 0);
    Audience audience;
    OnCpus watchers("watcher", watch_window, &audience);
    const std::uint64_t before = arch::tlb::statistics().requests;
    constexpr std::uint64_t rounds = 50;
    for (std::uint64_t round = 1; round <= rounds; ++round) {
        audience.seen = 0;
        PV_EXPECT(audience.window.turn(round % 2));
        audience.expected = round % 2;
        audience.round = round;
        await_audience(audience);
    }
    audience.over = true;
    watchers.join();
    PV_EXPECT(audience.stale == 0);
    PV_EXPECT(arch::cpu_count() == 1 || arch::tlb::statistics().requests >= before + rounds);
    log::info("{} shootdowns, {} stale reads on {} CPUs", rounds, audience.stale.load(), arch::cpu_count());
}

// LEDGER C17: the runner reads from the plugin which instructions each CPU executed: ones that reach global
// entries. Under QEMU a write to CR3 forgets those as well, so that no translation would tell the difference.
PV_GUEST_TEST(shootdown_instructions) {
    constexpr std::uint64_t telling = 0xffff'd234'5678'9000;
    PV_EXPECT(arch::tlb::flush(VirtualAddress(telling), page_size).has_value());
    PV_EXPECT(arch::tlb::flush(VirtualAddress(telling), std::uint64_t{1} << 30).has_value());
}

namespace {

struct Stuck {
    std::atomic<bool> stuck{false};
    std::atomic<bool> go_on{false};
    std::array<std::atomic<std::uint64_t>, 2> saw{99, 99};
    std::array<Window, 2> windows;
};

// Interrupts off, and looks at nothing but its flag: not even at requests.
void get_stuck(void* argument) {
    auto& s = *static_cast<Stuck*>(argument);
    static_cast<void>(s.windows[0].read());
    static_cast<void>(s.windows[1].read());
    arch::disable_interrupts();
    s.stuck = true;
    while (!s.go_on) {
        arch::relax();
    }
    arch::restore_interrupts(true);
    s.saw[0] = s.windows[0].read();
    s.saw[1] = s.windows[1].read();
}

}  // namespace

// LEDGER C17: the sender waits, but not for ever; and the CPU that was late has forgotten all it owed.
PV_GUEST_TEST(shootdown_has_a_deadline) {
    PV_EXPECT(arch::cpu_count() > 1);
    Stuck stuck;
    auto thread = task::Thread::create("stuck", get_stuck, &stuck, task::Priority::high, 1);
    PV_EXPECT(thread.has_value());
    while (!stuck.stuck) {
        task::sleep(1_ms);
    }
    // This thread must stay off that CPU; everybody else sleeps.
    arch::tlb::set_patience(100_ms);
    const Instant begin = now();
    PV_EXPECT(!stuck.windows[0].turn(1));
    const Duration took = now() - begin;
    PV_EXPECT(took >= 100_ms && took < 5_s);
    PV_EXPECT(!stuck.windows[1].turn(1));
    PV_EXPECT(arch::tlb::statistics().late == 2);
    arch::tlb::set_patience(10_s);
    stuck.go_on = true;
    PV_EXPECT(thread->join(Deadline::after(cpus_patience)).has_value());
    PV_EXPECT(stuck.saw[0] == 1);
    PV_EXPECT(stuck.saw[1] == 1);
    PV_EXPECT(stuck.windows[0].turn(0));
}

namespace {

constexpr int knot_rounds = 20;

struct Knot {
    task::Guarded<int, task::Rank::kernel_space> lock;
    VirtualAddress at{};
    std::atomic<std::uint64_t> failed{0};
};

// Holds a lock that the others spin on, interrupts off, and waits for the others' answers with it.
void flush_with_lock_held(void* argument) {
    auto& knot = *static_cast<Knot*>(argument);
    for (int i = 0; i < knot_rounds; ++i) {
        knot.lock.with([&](int& count) {
            ++count;
            knot.failed += arch::tlb::flush(knot.at, page_size) ? 0U : 1U;
        });
    }
}

void flush_at_will(void* argument) {
    auto& knot = *static_cast<Knot*>(argument);
    const arch::InterruptsOff off;
    for (int i = 0; i < knot_rounds; ++i) {
        // More than a few pages now and then: everything.
        knot.failed += arch::tlb::flush(knot.at, i % 16 == 0 ? 1 << 20 : page_size) ? 0U : 1U;
    }
}

}  // namespace

// All CPUs at once, with interrupts off: each serves the others while it waits.
PV_GUEST_TEST(shootdown_never_deadlocks) {
    Window window;
    Knot knot;
    knot.at = window.address();
    on_each_cpu("knot", flush_with_lock_held, &knot);
    PV_EXPECT(knot.failed == 0);
    on_each_cpu("flusher", flush_at_will, &knot);
    PV_EXPECT(knot.failed == 0);
    PV_EXPECT(arch::tlb::statistics().late == 0);
    log::info("{} shootdowns", arch::tlb::statistics().requests);
}

}  // namespace pv::guest_test
