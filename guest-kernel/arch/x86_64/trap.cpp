// What happens at an exception or interrupt.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/trap.hpp"

#include <array>

#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/panic.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/stop.hpp"
#include "arch/x86_64/tlb.hpp"
#include "arch/x86_64/user_mode.hpp"
#include "interrupt/delivery.hpp"
#include "task/scheduler.hpp"
#include "task/user_trap.hpp"

extern "C" std::uint64_t pv_probe_call(pv::arch::ProbeState* state, void (*function)(void*), void* argument);

namespace pv::arch {
namespace {

constexpr std::array<std::string_view, 32> names{"divide error",
                                                 "debug",
                                                 "non-maskable interrupt",
                                                 "breakpoint",
                                                 "overflow",
                                                 "bound range exceeded",
                                                 "invalid opcode",
                                                 "device not available",
                                                 "double fault",
                                                 "coprocessor segment overrun",
                                                 "invalid TSS",
                                                 "segment not present",
                                                 "stack-segment fault",
                                                 "general protection",
                                                 "page fault",
                                                 "reserved",
                                                 "x87 floating point",
                                                 "alignment check",
                                                 "machine check",
                                                 "SIMD floating point",
                                                 "virtualization",
                                                 "control protection",
                                                 "reserved",
                                                 "reserved",
                                                 "reserved",
                                                 "reserved",
                                                 "reserved",
                                                 "reserved",
                                                 "hypervisor injection",
                                                 "VMM communication",
                                                 "security",
                                                 "reserved"};

constexpr std::uint64_t first_interrupt = 32;

bool is_of_the_machine(std::uint64_t vector) {
    return vector == vector_double_fault || vector == vector_nmi || vector == vector_machine_check;
}

// A copy from or to a program's memory faulted: its page is brought in, or the copy ends there.
bool mend_user_access(TrapFrame& frame, std::uint64_t address) {
    const std::uint64_t resume = user_access_resume(frame.rip);
    if (resume == 0 || (frame.vector != vector_page_fault && frame.vector != vector_general_protection)) {
        return false;
    }
    bool mended = false;
    if (frame.vector == vector_page_fault && (frame.rflags & flag_interrupts) != 0 &&
        this_cpu().spinning_ranks == 0) {
        restore_interrupts(true);
        mended = task::resolve_page_fault(address, frame.error_code);
        disable_interrupts();
    }
    if (!mended) {
        frame.rip = resume;
    }
    return true;
}

void handle_exception(TrapFrame& frame) {
    Cpu& cpu = this_cpu();
    const std::uint64_t address = frame.vector == vector_page_fault ? read_cr2() : 0;
    if (is_from_user(frame) && !is_of_the_machine(frame.vector)) {
        restore_interrupts(true);
        task::handle_exception(frame, address);
        return;
    }
    if (mend_user_access(frame, address)) {
        return;
    }
    if (cpu.probe != nullptr && !is_of_the_machine(frame.vector)) {
        ProbeState& state = *cpu.probe;
        cpu.probe = nullptr;
        state.error_code = frame.error_code;
        state.address = address;
        frame.rax = frame.vector + 1;
        frame.rbx = state.rbx;
        frame.rbp = state.rbp;
        frame.r12 = state.r12;
        frame.r13 = state.r13;
        frame.r14 = state.r14;
        frame.r15 = state.r15;
        frame.rsp = state.rsp;
        frame.rip = state.resume;
        return;
    }
    panic_at(frame, address);
}

// By this CPU alone, which nothing interrupts here.
void count(Atomic<std::uint64_t>& interrupts) {
    interrupts.store(interrupts.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

std::string_view exception_name(std::uint64_t vector) {
    return vector < names.size() ? names[vector] : "interrupt";
}

std::optional<Fault> probe(void (*function)(void*), void* argument) {
    const InterruptsOff off;
    ProbeState state{};
    Cpu& cpu = this_cpu();
    cpu.probe = &state;
    const std::uint64_t outcome = pv_probe_call(&state, function, argument);
    cpu.probe = nullptr;
    if (outcome == 0) {
        return std::nullopt;
    }
    return Fault{static_cast<std::uint8_t>(outcome - 1), state.error_code, state.address};
}

extern "C" void pv_trap(TrapFrame* frame) {
    if (frame->vector == vector_debug && meet_debug_exception(*frame)) {
        return;
    }
    if (frame->vector == vector_nmi && answer_nmi(*frame)) {
        return;
    }
    if (frame->vector < first_interrupt) {
        handle_exception(*frame);
        if (is_from_user(*frame)) {
            task::before_user_mode();
        }
        return;
    }
    Cpu& cpu = this_cpu();
    ++cpu.interrupt_depth;
    switch (frame->vector) {
        case vector_timer:
            count(cpu.interrupts.timer);
            task::Scheduler::timer_interrupt(*frame);
            break;
        case vector_shootdown:
            count(cpu.interrupts.shootdown);
            tlb::serve();
            break;
        case vector_stop:
            stop_here();
        case vector_reschedule:
            count(cpu.interrupts.reschedule);
            break;
        case vector_spurious:
            break;
        default:
            interrupt::dispatch(cpu.index, static_cast<std::uint8_t>(frame->vector));
            break;
    }
    // A spurious interrupt sets no bit in service; ending it would end another's (Intel SDM vol. 3, 11.9).
    if (frame->vector != vector_spurious && frame->vector > vector_legacy_first + 15) {
        LocalApic::end_of_interrupt();
    }
    --cpu.interrupt_depth;
    task::Scheduler::preempt_if_needed(frame->vector == vector_reschedule);
    if (is_from_user(*frame)) {
        task::before_user_mode();
    }
}

}  // namespace pv::arch
