// What threads had of the processors.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "arch/x86_64/cpu.hpp"
#include "task/scheduler.hpp"

namespace pv::task {
namespace {

constinit LoadAverage all_load;

}  // namespace

Scheduler::Account Scheduler::account(ControlBlock& thread) {
    bool were_on = false;
    Scheduler& scheduler = lock_of(thread, were_on);
    Account account{
        thread.state == State::ready || thread.state == State::running, {thread.ran, {}}, thread.turns};
    Duration& total = account.ran.total;
    if (scheduler.running_ == &thread) {
        total = total + (now() - scheduler.switched_at_);
    }
    const std::uint64_t ticks = std::uint64_t{thread.user_ticks} + thread.system_ticks;
    Duration system = ticks == 0 ? Duration() : total / ticks * thread.system_ticks;
    system = std::max(system, thread.told_system);
    const Duration user = std::max(total - system, thread.told_user);
    system = total - user;
    thread.told_user = user;
    thread.told_system = system;
    account.ran.system = system;
    scheduler.lock_.unlock(were_on);
    return account;
}

void Scheduler::sample_load(Instant time) {
    std::uint64_t wanting = 0;
    for (unsigned i = 0; i < arch::cpu_count(); ++i) {
        const Scheduler* scheduler = arch::cpu(i).scheduler;
        if (scheduler != nullptr) {
            wanting += scheduler->ready_count_.load(std::memory_order_relaxed) +
                       (scheduler->running_level_.load(std::memory_order_relaxed) > 0 ? 1 : 0);
        }
    }
    all_load.sample(time, wanting);
}

const LoadAverage& Scheduler::load_average() {
    return all_load;
}

Duration Scheduler::idle_time() {
    return account(*idle_).ran.total;
}

}  // namespace pv::task
