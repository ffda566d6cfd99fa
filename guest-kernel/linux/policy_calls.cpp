// Calls on scheduling policies and real-time priorities (sched(7)).
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <linux/sched.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "linux/extensible.hpp"
#include "linux/scheduling.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"
#include "task/thread.hpp"

namespace pv::linux {
namespace {

using task::ProcessId;
using task::Scheduling;

/// What sched_setattr(2) and sched_getattr(2) are about (linux/sched/types.h, which does not go with
/// sched.h).
struct Attributes {
    std::uint32_t size;
    std::uint32_t policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::array<std::uint64_t, 3> of_deadlines;
    std::array<std::uint32_t, 2> of_utilisation;
};

static_assert(sizeof(Attributes) == 56);
constexpr std::uint32_t least_size = 48;

constexpr std::uint64_t known_flags =
    SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_KEEP_POLICY | SCHED_FLAG_KEEP_PARAMS;

constexpr int same_policy = -1;

bool is_real_time(int policy) {
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

bool is_known(int policy) {
    return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE || is_real_time(policy);
}

Value sched_get_priority_max(Call&, int policy) {
    if (!is_known(policy)) {
        return fail(Errno::einval);
    }
    return is_real_time(policy) ? std::uint64_t{task::real_time_max} : 0;
}

Value sched_get_priority_min(Call&, int policy) {
    if (!is_known(policy)) {
        return fail(Errno::einval);
    }
    return is_real_time(policy) ? 1 : 0;
}

// How the thread is scheduled. Errors: einval (id), esrch.
Outcome<Scheduling> scheduling_of(Call& call, ProcessId id) {
    if (id < 0) {
        return fail(Errno::einval);
    }
    const task::SpinGuard guard(task::tree_lock());
    return PV_TRY(thread_of(call, id))->scheduling;
}

Value sched_getscheduler(Call& call, ProcessId id) {
    const Scheduling scheduling = PV_TRY(scheduling_of(call, id));
    return static_cast<std::uint64_t>(scheduling.policy |
                                      (scheduling.resets_on_fork ? SCHED_RESET_ON_FORK : 0));
}

Value sched_getparam(Call& call, ProcessId id, UserPointer<int> priority) {
    if (priority.is_null()) {
        return fail(Errno::einval);
    }
    return done(priority.write(PV_TRY(scheduling_of(call, id)).real_time));
}

// Whether an unprivileged caller may change `thread` from `before` to `after`. The tree's lock is
// held.
bool may_change(const Call& call, const task::UserThread& thread, const Scheduling& before,
                const Scheduling& after) {
    const task::Process& process = thread.process();
    const auto most = process.limits[RLIMIT_RTPRIO].soft;
    if (after.is_real_time()) {
        const bool is_raised = after.real_time > before.real_time;
        if ((after.policy != before.policy && most == 0) ||
            (is_raised && static_cast<std::uint64_t>(after.real_time) > most)) {
            return false;
        }
    } else if (after.nice < before.nice && !may_be_as_nice(call, process, after.nice)) {
        return false;
    }
    // SCHED_IDLE counts as niceness 20: out of it is less.
    if (before.policy == SCHED_IDLE && after.policy != SCHED_IDLE &&
        !may_be_as_nice(call, process, before.nice)) {
        return false;
    }
    return may_schedule(call, thread.identity) && (!before.resets_on_fork || after.resets_on_fork);
}

// What a call asks for: policy same_policy and flags as in sched_attr; `nice` where has_nice.
struct Wish {
    int policy = same_policy;
    std::uint64_t flags = 0;
    std::uint32_t priority = 0;
    int nice = 0;
    bool has_nice = false;
};

Value set_scheduler(Call& call, ProcessId id, Wish wish) {
    const task::SpinGuard guard(task::tree_lock());
    task::UserThread& thread = *PV_TRY(thread_of(call, id));
    const Scheduling before = thread.scheduling;
    Scheduling after = before;
    const bool keeps = (wish.flags & SCHED_FLAG_KEEP_PARAMS) != 0;
    if (keeps) {
        wish.priority = static_cast<std::uint32_t>(before.real_time);
        wish.nice = before.nice;
    }
    if (wish.policy != same_policy) {
        after.policy = wish.policy;
        after.resets_on_fork = (wish.flags & SCHED_FLAG_RESET_ON_FORK) != 0;
    }
    if (!is_known(after.policy) || (wish.flags & ~known_flags) != 0 ||
        wish.priority > static_cast<std::uint32_t>(task::real_time_max) ||
        is_real_time(after.policy) != (wish.priority != 0)) {
        return fail(Errno::einval);
    }
    after.real_time = static_cast<int>(wish.priority);
    if (wish.has_nice && !after.is_real_time()) {
        after.nice = wish.nice;
    }
    if (!call.thread.identity.has(Capability::sys_nice) && !may_change(call, thread, before, after)) {
        return fail(Errno::eperm);
    }
    // The policy is one of the parameters that are kept, though it is looked at.
    after.policy = keeps ? before.policy : after.policy;
    task::set_scheduling(thread, after);
    return 0;
}

Value set_scheduler(Call& call, ProcessId id, int policy, UserPointer<const int> priority) {
    if (id < 0 || priority.is_null()) {
        return fail(Errno::einval);
    }
    const int given = PV_TRY(priority.read());
    Wish wish{.policy = policy, .priority = static_cast<std::uint32_t>(given)};
    if (policy != same_policy && (policy & SCHED_RESET_ON_FORK) != 0) {
        wish.policy = policy & ~SCHED_RESET_ON_FORK;
        wish.flags = SCHED_FLAG_RESET_ON_FORK;
    }
    return set_scheduler(call, id, wish);
}

Value sched_setscheduler(Call& call, ProcessId id, int policy, UserPointer<const int> priority) {
    return policy < 0 ? Value(fail(Errno::einval)) : set_scheduler(call, id, policy, priority);
}

Value sched_setparam(Call& call, ProcessId id, UserPointer<const int> priority) {
    return set_scheduler(call, id, same_policy, priority);
}

Value sched_setattr(Call& call, ProcessId id, UserPointer<Attributes> attributes, std::uint32_t flags) {
    if (attributes.is_null() || id < 0 || flags != 0) {
        return fail(Errno::einval);
    }
    const UserPointer<std::uint32_t> size_at(attributes.address().value() + offsetof(Attributes, size));
    std::uint32_t size = PV_TRY(size_at.read());
    size = size == 0 ? least_size : size;
    const Outcome<Attributes> read =
        size < least_size ? fail(Errno::e2big) : read_extensible<Attributes>(attributes.address(), size);
    if (!read) {
        if (read.error() == Errno::e2big) {
            static_cast<void>(size_at.write(sizeof(Attributes)));
        }
        return fail(read.error());
    }
    const auto policy = static_cast<int>(read->policy);
    if (policy < 0) {
        return fail(Errno::einval);
    }
    constexpr int nicest = 19;
    return set_scheduler(call, id,
                         {.policy = (read->flags & SCHED_FLAG_KEEP_POLICY) != 0 ? same_policy : policy,
                          .flags = read->flags,
                          .priority = read->priority,
                          .nice = std::clamp(read->nice, -nicest - 1, nicest),
                          .has_nice = true});
}

Value sched_getattr(Call& call, ProcessId id, UserPointer<Attributes> attributes, std::uint32_t size,
                    std::uint32_t flags) {
    if (attributes.is_null() || id < 0 || size > page_size || size < least_size || flags != 0) {
        return fail(Errno::einval);
    }
    const Scheduling scheduling = PV_TRY(scheduling_of(call, id));
    Attributes told{};
    told.size = std::min<std::uint32_t>(size, sizeof told);
    told.policy = static_cast<std::uint32_t>(scheduling.policy);
    told.flags = scheduling.resets_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
    told.nice = scheduling.is_real_time() ? 0 : scheduling.nice;
    told.priority = static_cast<std::uint32_t>(scheduling.real_time);
    return done(copy_out(attributes.address(), std::as_bytes(std::span(&told, 1)).first(told.size)));
}

Value sched_rr_get_interval(Call& call, ProcessId id, UserPointer<timespec> interval) {
    const Scheduling scheduling = PV_TRY(scheduling_of(call, id));
    return done(
        interval.write(timespec_of(scheduling.policy == SCHED_FIFO ? Duration() : scheduling.turn())));
}

constexpr Entry entries[] = {
    {__NR_sched_get_priority_max, "sched_get_priority_max", handler_of<sched_get_priority_max>},
    {__NR_sched_get_priority_min, "sched_get_priority_min", handler_of<sched_get_priority_min>},
    {__NR_sched_getscheduler, "sched_getscheduler", handler_of<sched_getscheduler>},
    {__NR_sched_setscheduler, "sched_setscheduler", handler_of<sched_setscheduler>, Support::partial,
     "no SCHED_DEADLINE (EINVAL)"},
    {__NR_sched_getparam, "sched_getparam", handler_of<sched_getparam>},
    {__NR_sched_setparam, "sched_setparam", handler_of<sched_setparam>},
    {__NR_sched_setattr, "sched_setattr", handler_of<sched_setattr>, Support::partial,
     "no SCHED_DEADLINE, no bounds of utilisation (EINVAL)"},
    {__NR_sched_getattr, "sched_getattr", handler_of<sched_getattr>},
    {__NR_sched_rr_get_interval, "sched_rr_get_interval", handler_of<sched_rr_get_interval>},
};

}  // namespace

constinit const std::span<const Entry> policy_calls = entries;

}  // namespace pv::linux
