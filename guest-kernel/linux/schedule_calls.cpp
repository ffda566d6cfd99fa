// Calls on scheduling: processors, turns, niceness.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>

#include "arch/processor.hpp"
#include "linux/scheduling.hpp"
#include "linux/table.hpp"
#include "task/scheduler.hpp"
#include "task/thread.hpp"

namespace pv::linux {
namespace {

using arch::CpuSet;
using task::ProcessId;

Value sched_yield(Call&) {
    task::yield();
    return 0;
}

/// As programs give it.
using Mask = std::array<std::uint64_t, arch::cpus_max / 64>;

Value sched_getaffinity(Call& call, ProcessId id, std::uint64_t size, UserAddress mask) {
    const std::uint64_t bytes = align_up((arch::cpu_count() + 7) / 8, sizeof(std::uint64_t));
    if (size < bytes || size % sizeof(std::uint64_t) != 0) {
        return fail(Errno::einval);
    }
    CpuSet cpus;
    {
        const task::SpinGuard guard(task::tree_lock());
        cpus = PV_TRY(thread_of(call, id))->cpus & arch::online_cpus();
    }
    Mask bits{};
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        bits[cpu / 64] |= std::uint64_t{cpus.test(cpu)} << (cpu % 64);
    }
    PV_TRY(copy_out(mask, std::as_bytes(std::span(bits)).first(bytes)));
    return bytes;
}

Value sched_setaffinity(Call& call, ProcessId id, std::uint64_t size, UserAddress mask) {
    Mask bits{};
    PV_TRY(copy_in(std::as_writable_bytes(std::span(bits)).first(std::min<std::uint64_t>(size, sizeof bits)),
                   mask));
    CpuSet cpus;
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        cpus.set(cpu, (bits[cpu / 64] >> (cpu % 64) & 1) != 0);
    }
    if (cpus.count() == 0) {
        return fail(Errno::einval);
    }
    {
        const task::SpinGuard guard(task::tree_lock());
        task::UserThread& thread = *PV_TRY(thread_of(call, id));
        if (!may_schedule(call, thread.identity)) {
            return fail(Errno::eperm);
        }
        thread.cpus = cpus;
        if (thread.control != nullptr) {
            task::Scheduler::allow(*thread.control, cpus);
        }
    }
    // The caller returns on a processor where it may be.
    while (!call.thread.cpus.test(arch::current_cpu())) {
        task::yield();
    }
    return 0;
}

Value getcpu(Call&, UserPointer<std::uint32_t> cpu, UserPointer<std::uint32_t> node) {
    PV_TRY(cpu.write_if_wanted(arch::current_cpu()));
    return done(node.write_if_wanted(0));
}

// Calls f(Process&, Scheduling, UserThread*) for each thread that `which` and `id` mean, with the tree's lock
// held; a process that has ended is told without a thread. Errors: einval, esrch.
template <class F>
Outcome<> for_chosen(Call& call, int which, ProcessId id, F&& f) {
    if (which != PRIO_PROCESS && which != PRIO_PGRP && which != PRIO_USER) {
        return fail(Errno::einval);
    }
    bool any = false;
    const auto tell = [&](task::Process& process, task::UserThread* thread) {
        any = true;
        f(process, thread == nullptr ? process.last_scheduling : thread->scheduling, thread);
    };
    const task::SpinGuard guard(task::tree_lock());
    const task::Process& self = call.process();
    if (which == PRIO_PROCESS) {
        if (task::UserThread* thread = id == 0 ? &call.thread : task::find_thread(id); thread != nullptr) {
            tell(thread->process(), thread);
        } else if (task::Process* process = task::find_process(id); process != nullptr) {
            tell(*process, process->threads.empty() ? nullptr : &process->threads.front());
        }
        return any ? Outcome<>() : fail(Errno::esrch);
    }
    task::for_each_process([&](task::Process& process) {
        const bool is_chosen = which == PRIO_PGRP
                                   ? process.group == (id == 0 ? self.group : id)
                                   : process.identity().user == (id == 0 ? call.thread.identity.user
                                                                         : static_cast<std::uint32_t>(id));
        if (is_chosen && process.threads.empty()) {
            tell(process, nullptr);
        }
        for (task::UserThread& thread : process.threads) {
            if (is_chosen) {
                tell(process, &thread);
            }
        }
    });
    return any ? Outcome<>() : fail(Errno::esrch);
}

constexpr int nice_bias = 20;  ///< the call never returns what looks like an error

Value getpriority(Call& call, int which, ProcessId id) {
    int best = nice_bias - 1;
    PV_TRY(for_chosen(call, which, id,
                      [&](const task::Process&, const task::Scheduling& scheduling, const task::UserThread*) {
                          best = std::min(best, scheduling.nice);
                      }));
    return static_cast<std::uint64_t>(nice_bias - best);
}

Value setpriority(Call& call, int which, ProcessId id, int nice) {
    nice = std::clamp(nice, -nice_bias, nice_bias - 1);
    Outcome<> allowed;
    PV_TRY(for_chosen(
        call, which, id, [&](task::Process& process, task::Scheduling scheduling, task::UserThread* thread) {
            if (!may_schedule(call, thread == nullptr ? process.last_identity : thread->identity)) {
                allowed = fail(Errno::eperm);
            } else if (nice < scheduling.nice && !may_be_as_nice(call, process, nice)) {
                allowed = fail(Errno::eacces);
            } else if (thread != nullptr) {
                scheduling.nice = nice;
                task::set_scheduling(*thread, scheduling);
            }
        }));
    return done(allowed);
}

constexpr Entry entries[] = {
    {__NR_sched_yield, "sched_yield", handler_of<sched_yield>},
    {__NR_sched_getaffinity, "sched_getaffinity", handler_of<sched_getaffinity>},
    {__NR_sched_setaffinity, "sched_setaffinity", handler_of<sched_setaffinity>},
    {__NR_getcpu, "getcpu", handler_of<getcpu>},
    {__NR_getpriority, "getpriority", handler_of<getpriority>},
    {__NR_setpriority, "setpriority", handler_of<setpriority>, Support::partial,
     "shares are as Linux's from nice -10 to 13, and no further apart beyond"},
};

}  // namespace

constinit const std::span<const Entry> schedule_calls = entries;

}  // namespace pv::linux
