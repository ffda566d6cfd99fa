// Calls on scheduling: processors, turns, priorities.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>

#include "arch/processor.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"
#include "task/scheduler.hpp"
#include "task/thread.hpp"

namespace pv::linux {
namespace {

using arch::CpuSet;
using task::ProcessId;

/// How long a turn is, for sched_rr_get_interval(2).
constexpr Duration turn = Duration::milliseconds(10);

Value sched_yield(Call&) {
    task::yield();
    return 0;
}

// The thread with that number, 0 for the caller's. The tree's lock is held. Error: esrch.
Outcome<task::UserThread*> thread_of(Call& call, ProcessId id) {
    task::UserThread* thread = id == 0 ? &call.thread : task::find_thread(id);
    if (thread == nullptr) {
        return fail(Errno::esrch);
    }
    return thread;
}

// Whether the caller may change how another one is scheduled. The tree's lock is held.
bool may_change(const Call& call, const task::Process& other) {
    const task::Identity& self = call.process().identity;
    return self.is_privileged() || self.effective_user == other.identity.user ||
           self.effective_user == other.identity.effective_user;
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
        if (!may_change(call, thread.process())) {
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

Value priority_bound(int policy, std::uint64_t of_real_time) {
    switch (policy) {
        case SCHED_OTHER:
        case SCHED_BATCH:
        case SCHED_IDLE:
            return 0;
        case SCHED_FIFO:
        case SCHED_RR:
            return of_real_time;
        default:
            return fail(Errno::einval);
    }
}

Value sched_get_priority_max(Call&, int policy) {
    return priority_bound(policy, 99);
}

Value sched_get_priority_min(Call&, int policy) {
    return priority_bound(policy, 1);
}

Value sched_getscheduler(Call& call, ProcessId id) {
    if (id < 0) {
        return fail(Errno::einval);
    }
    const task::SpinGuard guard(task::tree_lock());
    return static_cast<std::uint64_t>(PV_TRY(thread_of(call, id))->policy);
}

Value sched_getparam(Call& call, ProcessId id, UserPointer<int> priority) {
    if (id < 0 || priority.is_null()) {
        return fail(Errno::einval);
    }
    {
        const task::SpinGuard guard(task::tree_lock());
        PV_TRY(thread_of(call, id));
    }
    return done(priority.write(0));
}

// Who asks for real time is told that it may not. `policy` -1: stays.
Value set_scheduler(Call& call, ProcessId id, int policy, UserPointer<const int> priority) {
    if (id < 0 || priority.is_null()) {
        return fail(Errno::einval);
    }
    const int given = PV_TRY(priority.read());
    const int checked = policy == -1 ? SCHED_OTHER : policy;
    const std::uint64_t least = PV_TRY(priority_bound(checked, 1));
    const std::uint64_t most = PV_TRY(priority_bound(checked, 99));
    if (given < static_cast<int>(least) || given > static_cast<int>(most)) {
        return fail(Errno::einval);
    }
    const task::SpinGuard guard(task::tree_lock());
    task::UserThread& thread = *PV_TRY(thread_of(call, id));
    if (most != 0 || !may_change(call, thread.process())) {
        return fail(Errno::eperm);
    }
    if (policy != -1) {
        thread.policy = policy;
        task::apply_priorities(thread.process());
    }
    return 0;
}

Value sched_setscheduler(Call& call, ProcessId id, int policy, UserPointer<const int> priority) {
    return policy < 0 ? Value(fail(Errno::einval)) : set_scheduler(call, id, policy, priority);
}

Value sched_setparam(Call& call, ProcessId id, UserPointer<const int> priority) {
    return set_scheduler(call, id, -1, priority);
}

Value sched_rr_get_interval(Call& call, ProcessId id, UserPointer<timespec> interval) {
    {
        const task::SpinGuard guard(task::tree_lock());
        PV_TRY(thread_of(call, id));
    }
    return done(interval.write(timespec_of(turn)));
}

// Calls f(Process&) for each that `which` and `id` mean, with the tree's lock held. Errors: einval, esrch.
template <class F>
Outcome<> for_chosen(Call& call, int which, ProcessId id, F&& f) {
    if (which != PRIO_PROCESS && which != PRIO_PGRP && which != PRIO_USER) {
        return fail(Errno::einval);
    }
    bool any = false;
    const task::SpinGuard guard(task::tree_lock());
    const task::Process& self = call.process();
    task::for_each_process([&](task::Process& process) {
        const bool is_chosen =
            which == PRIO_PROCESS ? process.id == (id == 0 ? self.id : id)
            : which == PRIO_PGRP
                ? process.group == (id == 0 ? self.group : id)
                : process.identity.user == (id == 0 ? self.identity.user : static_cast<std::uint32_t>(id));
        if (is_chosen) {
            any = true;
            f(process);
        }
    });
    if (!any) {
        return fail(Errno::esrch);
    }
    return {};
}

constexpr int nice_bias = 20;  ///< the call never returns what looks like an error

Value getpriority(Call& call, int which, ProcessId id) {
    int best = nice_bias - 1;
    PV_TRY(for_chosen(call, which, id,
                      [&](const task::Process& process) { best = std::min(best, process.nice); }));
    return static_cast<std::uint64_t>(nice_bias - best);
}

Value setpriority(Call& call, int which, ProcessId id, int nice) {
    nice = std::clamp(nice, -nice_bias, nice_bias - 1);
    Outcome<> allowed;
    PV_TRY(for_chosen(call, which, id, [&](task::Process& process) {
        if (!may_change(call, process)) {
            allowed = fail(Errno::eperm);
        } else if (nice < process.nice && !call.process().identity.is_privileged()) {
            allowed = fail(Errno::eacces);
        } else {
            process.nice = nice;
            task::apply_priorities(process);
        }
    }));
    return done(allowed);
}

constexpr Entry entries[] = {
    {__NR_sched_yield, "sched_yield", handler_of<sched_yield>},
    {__NR_sched_getaffinity, "sched_getaffinity", handler_of<sched_getaffinity>},
    {__NR_sched_setaffinity, "sched_setaffinity", handler_of<sched_setaffinity>},
    {__NR_getcpu, "getcpu", handler_of<getcpu>},
    {__NR_sched_get_priority_max, "sched_get_priority_max", handler_of<sched_get_priority_max>},
    {__NR_sched_get_priority_min, "sched_get_priority_min", handler_of<sched_get_priority_min>},
    {__NR_sched_getscheduler, "sched_getscheduler", handler_of<sched_getscheduler>},
    {__NR_sched_setscheduler, "sched_setscheduler", handler_of<sched_setscheduler>, Support::partial,
     "no real-time policies (EPERM)"},
    {__NR_sched_getparam, "sched_getparam", handler_of<sched_getparam>, Support::partial, "always 0"},
    {__NR_sched_setparam, "sched_setparam", handler_of<sched_setparam>, Support::partial, "0 only"},
    {__NR_sched_rr_get_interval, "sched_rr_get_interval", handler_of<sched_rr_get_interval>},
    {__NR_getpriority, "getpriority", handler_of<getpriority>, Support::partial,
     "of processes, not of threads"},
    {__NR_setpriority, "setpriority", handler_of<setpriority>, Support::partial,
     "as getpriority; shares are as Linux's from nice -10 to 13, and no further apart beyond"},
};

}  // namespace

constinit const std::span<const Entry> schedule_calls = entries;

}  // namespace pv::linux
