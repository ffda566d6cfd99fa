// What a CPU needs before it runs: taken together, or not at all.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/starting_cpu.hpp"

#include <new>

#include "interrupt/delivery.hpp"

namespace pv::arch {

Result<std::unique_ptr<StartingCpu>> StartingCpu::create(unsigned index, std::uint32_t apic_id) {
    std::unique_ptr<StartingCpu> start(new (std::nothrow) StartingCpu);
    if (start == nullptr) {
        return fail(Error::out_of_memory);
    }
    start->cpu.index = index;
    start->cpu.apic_id = apic_id;
    start->stack = PV_TRY(allocate_stack());
    PV_TRY(set_up_interrupt_stacks(start->cpu));
    start->scheduler = PV_TRY(task::Scheduler::create(start->cpu, start->stack));
    PV_TRY(interrupt::add_cpu(index));
    return start;
}

StartingCpu::~StartingCpu() {
    task::Scheduler::destroy(scheduler);
    release_interrupt_stacks(cpu);
    if (stack.top != 0) {
        free_stack(stack);
    }
}

bool StartingCpu::finish(Step last) {
    Step before = step.load(std::memory_order_acquire);
    while (before < Step::online) {
        if (step.compare_exchange_weak(before, last, std::memory_order_acq_rel, std::memory_order_acquire)) {
            return true;
        }
    }
    return false;
}

}  // namespace pv::arch
