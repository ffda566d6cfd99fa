// A CPU's scheduler, before it runs and when it begins to.
// SPDX-License-Identifier: MIT
#include <new>

#include "arch/x86_64/cpu.hpp"
#include "task/scheduler.hpp"
#include "task/thread_life.hpp"

namespace pv::task {

Result<Scheduler*> Scheduler::create(arch::Cpu& cpu, arch::Stack stack) {
    auto* scheduler = new (std::nothrow) Scheduler(cpu);
    auto* idle = new (std::nothrow) ControlBlock;
    if (scheduler == nullptr || idle == nullptr) {
        delete scheduler;
        delete idle;
        return fail(Error::out_of_memory);
    }
    set_name(*idle, "idle");
    idle->state = State::running;
    idle->is_pinned = true;
    idle->cpus = arch::CpuSet().set(cpu.index);
    idle->stack = stack;
    idle->scheduler.store(scheduler, std::memory_order_relaxed);
    scheduler->idle_ = idle;
    scheduler->running_ = idle;
    return scheduler;
}

void Scheduler::destroy(Scheduler* scheduler) {
    if (scheduler != nullptr) {
        delete scheduler->idle_;
        delete scheduler;
    }
}

void Scheduler::start() {
    cpu_.running = idle_;
    cpu_.scheduler = this;
    beat();
}

}  // namespace pv::task
