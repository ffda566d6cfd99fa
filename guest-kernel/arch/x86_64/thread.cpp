// Kernel threads: creation, end, joining.
// SPDX-License-Identifier: MIT
#include "task/thread.hpp"
#include "base/atomic.hpp"

#include <algorithm>
#include <new>

#include "arch/processor.hpp"
#include "base/panic.hpp"
#include "task/park.hpp"
#include "task/scheduler.hpp"
#include "task/thread_life.hpp"

extern "C" const char pv_thread_start[];

namespace pv::task {
namespace {

constinit Atomic<std::size_t> threads{1};  // the boot CPU's idle thread

void drop_owner(ControlBlock* block) {
    if (block->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        delete block;
    }
}

// What pv_switch pops on the first switch to a thread: six registers, then where to go (switch.S).
std::uint64_t initial_stack(std::uint64_t top) {
    constexpr std::size_t registers = 6;
    // At pv_thread_start the stack is 8 below a multiple of 16, as after a call.
    auto* sp = reinterpret_cast<std::uint64_t*>(top - 8);
    *--sp = reinterpret_cast<std::uintptr_t>(pv_thread_start);
    for (std::size_t i = 0; i < registers; ++i) {
        *--sp = 0;
    }
    return reinterpret_cast<std::uintptr_t>(sp);
}

}  // namespace

void set_name(ControlBlock& block, std::string_view name) {
    name = name.substr(0, name_max);
    std::copy(name.begin(), name.end(), block.name.begin());
}

void bury(ControlBlock& block) {
    arch::free_stack(block.stack);
    drop_owner(&block);
}

extern "C" [[noreturn]] void pv_thread_main() {
    ControlBlock& self = current();
    Scheduler::enter_thread();
    self.function(self.argument);
    end_thread();
}

void end_thread() {
    ControlBlock& self = current();
    if (self.sleeping_ranks != 0) {
        panic("thread \"{}\" ended with a lock held", std::string_view(self.name.data()));
    }
    threads.fetch_sub(1, std::memory_order_relaxed);
    self.ended.store(true, std::memory_order_release);
    self.joiners.wake_all();
    Scheduler::end_current();
}

Result<Thread> Thread::create(std::string_view name, void (*function)(void*), void* argument,
                              Priority priority, unsigned cpu) {
    if (cpu != any_cpu && cpu >= arch::cpu_count()) {
        return fail(Error::invalid_argument);
    }
    const arch::Stack stack = PV_TRY(arch::allocate_stack());
    auto* block = new (std::nothrow) ControlBlock;
    if (block == nullptr) {
        arch::free_stack(stack);
        return fail(Error::out_of_memory);
    }
    set_name(*block, name);
    block->stack = stack;
    block->saved_rsp = initial_stack(stack.top);
    block->function = function;
    block->argument = argument;
    block->level = level_of(priority);
    block->owners.store(2, std::memory_order_relaxed);
    threads.fetch_add(1, std::memory_order_relaxed);
    block->is_pinned = cpu != any_cpu;
    block->cpus = block->is_pinned ? arch::CpuSet().set(cpu) : arch::CpuSet().set();
    Scheduler::add(*block);
    return Thread(block);
}

Thread::~Thread() {
    if (block_ != nullptr) {
        drop_owner(block_);
    }
}

Result<> Thread::join(Deadline deadline) {
    if (block_ == nullptr) {
        return fail(Error::invalid_argument);
    }
    PV_TRY(block_->joiners.wait(deadline, [this] { return block_->ended.load(std::memory_order_acquire); }));
    drop_owner(std::exchange(block_, nullptr));
    return {};
}

void sleep(Duration span) {
    sleep_until(now() + span);
}

void sleep_until(Instant instant) {
    // A permit left over from some wait may end a park early.
    while (now() < instant) {
        park(Deadline::at(instant));
    }
}

void yield() {
    Scheduler::yield();
}

std::string_view current_name() {
    const ControlBlock* thread = Scheduler::current_or_null();
    return thread == nullptr ? "boot" : std::string_view(thread->name.data());
}

std::size_t thread_count() {
    return threads.load(std::memory_order_relaxed);
}

}  // namespace pv::task
