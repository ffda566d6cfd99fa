// Starting the other CPUs: a page of real-mode code, then one after the other.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/cpu_start.hpp"

#include <algorithm>
#include <cstring>

#include "arch/processor.hpp"
#include "arch/x86_64/clock.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/kernel_space.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/starting_cpu.hpp"
#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "boot/memory.hpp"
#include "task/scheduler.hpp"

extern "C" {
extern const char pv_trampoline_begin[], pv_trampoline_values[], pv_trampoline_end[];
extern const char pv_cpu_entry[];

// For trampoline.S: bit 32 and the APIC id of the CPU that may come now; its stack.
constinit pv::Atomic<std::uint64_t> pv_expected_cpu{0};
constinit std::uint64_t pv_expected_stack = 0;
}

namespace pv::arch {
namespace {

using namespace literals;

constexpr Duration init_pause = 10_ms;      // Intel SDM vol. 3, 9.4.4.1
constexpr Duration startup_pause = 200_us;  // same; then a second start-up message
constexpr Duration start_patience = 5_s;
constexpr unsigned skew_rounds = 2'000;

/// What depends on where the trampoline lies; laid out by trampoline.S.
struct [[gnu::packed]] TrampolineValues {
    std::uint16_t gdt_limit;
    std::uint32_t gdt_base;
    std::uint32_t protected_offset;
    std::uint16_t protected_selector;
    std::uint32_t long_offset;
    std::uint16_t long_selector;
    std::uint32_t cr3;
    std::uint64_t entry;
};

using Step = StartingCpu::Step;

// Neither before what stands before it, nor after what follows.
std::uint64_t ordered_tsc() {
    const std::uint64_t counter = read_ordered_tsc();
    __asm__ volatile("lfence" ::: "memory");
    return counter;
}

constinit Atomic<StartingCpu*> starting{nullptr};

// Copies the code to its page, and maps it where the CPU will run: at its physical address, never writable
// there, and writable nowhere while it is executable.
Result<> set_up_trampoline(PhysicalAddress page) {
    const auto length = static_cast<std::size_t>(pv_trampoline_end - pv_trampoline_begin);
    const VirtualAddress window = PV_TRY(reserve_space(page_size));
    if (const Result<> mapped = map_pages(window, page, page_size, Access::read_write, Cache::write_back);
        !mapped) {
        release_space(window, page_size);
        return mapped;
    }
    auto* copy = reinterpret_cast<char*>(window.value());
    std::memcpy(copy, pv_trampoline_begin, length);
    TrampolineValues values{};
    char* at = copy + (pv_trampoline_values - pv_trampoline_begin);
    std::memcpy(&values, at, sizeof values);
    const auto base = static_cast<std::uint32_t>(page.value());
    values.gdt_base += base;
    values.protected_offset += base;
    values.long_offset += base;
    values.cr3 = static_cast<std::uint32_t>(kernel_page_table().root().value());
    values.entry = address_of(pv_cpu_entry);
    std::memcpy(at, &values, sizeof values);
    PV_TRY(unmap_pages(window, page_size));
    release_space(window, page_size);
    const Result<> mapped =
        map_pages(VirtualAddress(page.value()), page, page_size, Access::read_execute, Cache::write_back);
    if (!mapped) {
        // What there is of the tables that were to lead there.
        PV_TRY(drop_lower_half());
    }
    return mapped;
}

// True once `condition` holds.
template <class F>
bool wait_for(Duration patience, F&& condition) {
    const Deadline deadline = Deadline::after(patience);
    while (!condition()) {
        if (deadline.expired()) {
            return condition();
        }
        relax_and_serve();
    }
    return true;
}

// INIT has been sent some time before.
Result<> start_one(StartingCpu& start, PhysicalAddress page) {
    const std::uint32_t id = start.cpu.apic_id;
    starting.store(&start, std::memory_order_relaxed);
    pv_expected_stack = start.stack.top;
    pv_expected_cpu.store(std::uint64_t{1} << 32 | id, std::memory_order_release);
    const auto came = [] { return pv_expected_cpu.load(std::memory_order_acquire) == 0; };
    const auto number = static_cast<std::uint8_t>(page.value() >> page_shift);
    LocalApic::send_startup(id, number);
    if (!wait_for(startup_pause, came)) {
        LocalApic::send_startup(id, number);
    }
    if (!wait_for(start_patience, came) && pv_expected_cpu.exchange(0, std::memory_order_seq_cst) != 0) {
        // It may still be on its way: back to waiting, so that it does not run into what comes next.
        LocalApic::send_init(id);
        return fail(Error::timed_out);
    }
    const auto reached = [&](Step step) {
        return [&start, step] { return start.step.load(std::memory_order_acquire) >= step; };
    };
    if (wait_for(start_patience, reached(Step::at_clock))) {
        start.skew.run(skew_rounds, ordered_tsc);
    }
    if (!wait_for(start_patience, reached(Step::online)) && start.finish(Step::abandoned)) {
        LocalApic::send_init(id);
        return fail(Error::timed_out);
    }
    if (start.step.load(std::memory_order_acquire) == Step::failed) {
        return fail(start.error.load(std::memory_order_seq_cst));
    }
    // It came in time; counting itself is all that is left.
    if (!wait_for(start_patience, [&] { return cpu_count() > start.cpu.index; })) {
        panic("CPU {} stopped while it started", start.cpu.index);
    }
    if (start.skew.backwards() > 0) {
        keep_clock_monotonic();
        log::warning(
            "clock: the counter of CPU {} lags by {} or more; time is kept monotonic by a shared maximum",
            start.cpu.index, start.skew.backwards());
    }
    return {};
}

}  // namespace

// The other CPU, on its own stack, with the boot CPU waiting.
extern "C" [[noreturn]] void pv_cpu_main() {
    StartingCpu& start = *starting.load(std::memory_order_relaxed);
    adopt_cpu(start.cpu);
    static_cast<void>(enable_protections());
    Result<> up = LocalApic::start_secondary();
    if (up && LocalApic::id() != start.cpu.apic_id) {
        panic("a processor with APIC id {} came where {} was started", LocalApic::id(), start.cpu.apic_id);
    }
    if (up) {
        start.step.store(Step::at_clock, std::memory_order_release);
        start.skew.run(skew_rounds, ordered_tsc);
        start.scheduler->start();
    } else {
        start.error.store(up.error(), std::memory_order_release);
    }
    if (!start.finish(up ? Step::online : Step::failed) || !up) {
        while (true) {
            __asm__ volatile("cli; hlt");
        }
    }
    // From here on this CPU is one among the others, and must be counted before it takes part.
    publish_cpu(start.cpu);
    task::Scheduler::idle();
}

unsigned start_other_cpus(std::span<const acpi::LocalApic> listed) {
    const std::uint32_t own = this_cpu().apic_id;
    const auto is_other = [own](const acpi::LocalApic& p) { return p.enabled && p.apic_id != own; };
    if (std::none_of(listed.begin(), listed.end(), is_other)) {
        return 1;
    }
    const PhysicalAddress page = boot::startup_page();
    const Result<> trampoline = page.value() == 0 ? fail(Error::not_found) : set_up_trampoline(page);
    if (!trampoline) {
        log::warning("CPUs: only the boot CPU runs: no room below 640 KiB to start others ({})",
                     trampoline.error());
        return 1;
    }
    for (const acpi::LocalApic& processor : listed) {
        if (is_other(processor)) {
            LocalApic::send_init(processor.apic_id);
        }
    }
    static_cast<void>(wait_for(init_pause, [] { return false; }));
    for (const acpi::LocalApic& processor : listed) {
        if (!is_other(processor)) {
            continue;
        }
        if (cpu_count() == cpus_max) {
            log::warning("CPUs: more than {} are not used", cpus_max);
            break;
        }
        auto start = StartingCpu::create(cpu_count(), processor.apic_id);
        // One that was called may come when nobody waits for it any more: what it uses is not taken back.
        const Result<> started = start ? start_one(*start->release(), page) : fail(start.error());
        if (!started) {
            log::error("CPUs: the processor with APIC id {} does not run: {}; going on without it",
                       processor.apic_id, started.error());
        }
    }
    // Nobody runs in the low page any more: away with it, on all CPUs, and with the tables that led there.
    if (!unmap_pages(VirtualAddress(page.value()), page_size) || !drop_lower_half()) {
        log::error("CPUs: the page others were started in stays mapped somewhere");
    }
    return cpu_count();
}

}  // namespace pv::arch
