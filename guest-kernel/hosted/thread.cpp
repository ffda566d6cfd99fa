// Kernel threads as host threads: park, unpark, create and join for tests and sanitizers.
// SPDX-License-Identifier: MIT
#include "task/thread.hpp"
#include "base/atomic.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <thread>

#include "arch/processor.hpp"
#include "hosted/control.hpp"
#include "task/park.hpp"
#include "task/spin_lock.hpp"
#include "task/wait_queue.hpp"

namespace pv::task {

struct ControlBlock {
    std::mutex lock;
    std::condition_variable changed;
    bool permit = false;
    std::string name = "host";
    Atomic<bool> ended{false};
    Atomic<int> owners{1};
    WaitQueue joiners;
};

namespace {

thread_local ControlBlock own_block;
thread_local ControlBlock* running = &own_block;
thread_local std::uint64_t spinning = 0;
thread_local std::uint64_t sleeping = 0;
Atomic<std::size_t> threads{1};

// Bounded: a wait until the end of time overflows some clocks. Long: a short nap would hide a lost wake-up.
constexpr std::chrono::milliseconds longest_nap{3'600'000};

void drop(ControlBlock* block) {
    if (block->owners.fetch_sub(1, std::memory_order_seq_cst) == 1) {
        delete block;
    }
}

}  // namespace

std::uint64_t& spinning_ranks() {
    return spinning;
}

std::uint64_t& sleeping_ranks() {
    return sleeping;
}

bool in_interrupt() {
    return false;
}

bool may_sleep() {
    return spinning == 0;
}

ControlBlock& current() {
    return *running;
}

void park(Deadline deadline) {
    ControlBlock& self = current();
    std::unique_lock guard(self.lock);
    const std::chrono::nanoseconds left(static_cast<std::int64_t>(std::min<std::uint64_t>(
        deadline.remaining().to_nanoseconds(), std::chrono::nanoseconds(longest_nap).count())));
    self.changed.wait_for(guard, left, [&] { return self.permit; });
    self.permit = false;
}

void unpark(ControlBlock& thread) {
    // Notified under the lock: the block may be gone as soon as its thread can run.
    const std::scoped_lock guard(thread.lock);
    thread.permit = true;
    thread.changed.notify_one();
}

Result<Thread> Thread::create(std::string_view name, void (*function)(void*), void* argument, Priority,
                              unsigned cpu) {
    if (cpu != any_cpu && cpu >= arch::cpu_count()) {
        return fail(Error::invalid_argument);
    }
    auto* block = new (std::nothrow) ControlBlock;
    if (block == nullptr) {
        return fail(Error::out_of_memory);
    }
    block->name = name.substr(0, name_max);
    block->owners.store(2, std::memory_order_relaxed);
    threads.fetch_add(1, std::memory_order_seq_cst);
    std::thread([block, function, argument, cpu] {
        running = block;
        hosted::run_as_cpu(cpu == any_cpu ? 0 : cpu);
        function(argument);
        threads.fetch_sub(1, std::memory_order_seq_cst);
        block->ended.store(true, std::memory_order_seq_cst);
        block->joiners.wake_all();
        drop(block);
    }).detach();
    return Thread(block);
}

Thread::~Thread() {
    if (block_ != nullptr) {
        drop(block_);
    }
}

Result<> Thread::join(Deadline deadline) {
    if (block_ == nullptr) {
        return fail(Error::invalid_argument);
    }
    PV_TRY(block_->joiners.wait(deadline, [this] { return block_->ended.load(std::memory_order_seq_cst); }));
    drop(std::exchange(block_, nullptr));
    return {};
}

void sleep(Duration span) {
    sleep_until(now() + span);
}

void sleep_until(Instant instant) {
    while (now() < instant) {
        std::this_thread::sleep_for(std::chrono::nanoseconds((instant - now()).to_nanoseconds()));
    }
}

void yield() {
    std::this_thread::yield();
}

std::string_view current_name() {
    return current().name;
}

std::size_t thread_count() {
    return threads.load(std::memory_order_seq_cst);
}

}  // namespace pv::task
