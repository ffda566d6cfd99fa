// Stopping the other CPUs, and asking one where it is.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/stop.hpp"

#include <algorithm>

#include "arch/processor.hpp"
#include "arch/x86_64/back_trace.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/log.hpp"
#include "task/thread.hpp"

namespace pv::arch {
namespace {

using namespace literals;

constexpr Duration stop_patience = 500_ms;

constinit Atomic<bool> end_claimed{false};
constinit Atomic<bool> ending{false};  // whoever is asked where it is stays there

bool wait_for_all(Duration patience) {
    const Deadline deadline = Deadline::after(patience);
    bool all = true;
    for (unsigned i = 0; i < cpu_count(); ++i) {
        const Cpu& other = cpu(i);
        while (&other != &this_cpu() && !other.stop.done.load(std::memory_order_acquire)) {
            if (deadline.expired()) {
                all = false;
                break;
            }
            relax();
        }
    }
    return all;
}

}  // namespace

bool claim_the_end() {
    return !end_claimed.exchange(true, std::memory_order_seq_cst);
}

void wait_to_be_stopped() {
    while (true) {
        __asm__ volatile("cli; hlt");
    }
}

void stop_here() {
    this_cpu().stop.done.store(true, std::memory_order_release);
    wait_to_be_stopped();
}

void stop_other_cpus(How how) {
    if (cpu_count() == 1) {
        return;
    }
    ending.store(true, std::memory_order_seq_cst);
    const auto each_running = [](auto&& send) {
        for (unsigned i = 0; i < cpu_count(); ++i) {
            Cpu& other = cpu(i);
            if (&other != &this_cpu() && !other.stop.done.load(std::memory_order_acquire)) {
                send(other);
            }
        }
    };
    if (how == How::when_ready) {
        each_running([](Cpu& other) { LocalApic::interrupt(other.apic_id, vector_stop); });
        if (wait_for_all(stop_patience)) {
            return;
        }
    }
    each_running([](Cpu& other) {
        other.stop.asked.store(true, std::memory_order_release);
        LocalApic::send_nmi(other.apic_id);
    });
    static_cast<void>(wait_for_all(stop_patience));
}

void print_stopped_cpus() {
    std::array<char, log::line_max> buffer;
    for (unsigned i = 0; i < cpu_count(); ++i) {
        const Cpu& other = cpu(i);
        if (&other == &this_cpu()) {
            continue;
        }
        if (!other.stop.done.load(std::memory_order_acquire)) {
            log::console_write(format::to(buffer, "  CPU {} did not stop", i), true);
            continue;
        }
        log::console_write(format::to(buffer, "  CPU {} in thread \"{}\" at {}", i,
                                      std::string_view(other.stop.thread.data()), Symbolised(other.stop.rip)),
                           true);
        print_frames(std::span(other.stop.back_trace).first(other.stop.frames), true);
    }
}

bool ask_where(Cpu& cpu, Duration patience) {
    cpu.stop.done.store(false, std::memory_order_relaxed);
    cpu.stop.asked.store(true, std::memory_order_release);
    LocalApic::send_nmi(cpu.apic_id);
    const Deadline deadline = Deadline::after(patience);
    while (!cpu.stop.done.load(std::memory_order_acquire)) {
        if (deadline.expired()) {
            return false;
        }
        relax_and_serve();
    }
    return true;
}

bool answer_nmi(const TrapFrame& frame) {
    Cpu& self = this_cpu();
    StopReport& report = self.stop;
    if (!report.asked.exchange(false, std::memory_order_acquire)) {
        return false;
    }
    report.rip = frame.rip;
    report.frames = collect_back_trace(frameless_caller(frame.rip, frame.rsp), frame.rbp, report.back_trace);
    const std::string_view name = task::current_name();
    report.thread.fill('\0');
    std::copy(name.begin(), name.end(), report.thread.begin());
    report.done.store(true, std::memory_order_release);
    // The CPU that ends the machine may be asked by another that tried to end it as well: it goes on.
    if (ending.load(std::memory_order_seq_cst) &&
        !(self.panicking && end_claimed.load(std::memory_order_seq_cst))) {
        wait_to_be_stopped();
    }
    return true;
}

}  // namespace pv::arch
