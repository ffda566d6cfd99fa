// Calls on what a process is like: prctl, and the strict mode of seccomp.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include <algorithm>

#include "linux/become.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

/// As Linux has it where nothing else was asked for (50 us), in nanoseconds.
constexpr std::uint64_t usual_timer_slack = 50'000;

Value confine(Call& call) {
    call.thread.watches_calls.fetch_or(task::call_watch::confined, std::memory_order_seq_cst);
    return 0;
}

Value seccomp(Call& call, std::uint32_t operation, std::uint32_t flags, UserAddress argument) {
    if (operation != SECCOMP_SET_MODE_STRICT || flags != 0 || argument.value() != 0) {
        return fail(Errno::einval);
    }
    return confine(call);
}

Value set_name(Call& call, UserAddress from) {
    std::array<char, 16> name{};
    const auto length = UserString{from}.read(std::span(name).first(name.size() - 1));
    if (!length && length.error() == Errno::efault) {
        return fail(Errno::efault);
    }
    std::fill(name.begin() + static_cast<std::ptrdiff_t>(length.value_or(name.size() - 1)), name.end(), '\0');
    call.thread.name = name;
    return 0;
}

// PR_CAPBSET_*: the set that bounds what executed programs get.
Value bounding_set(Call& call, int option, std::uint64_t capability) {
    const task::Identity& own = call.thread.identity;
    if (option == PR_CAPBSET_DROP && !own.has(Capability::setpcap)) {
        return fail(Errno::eperm);
    }
    if (capability > CAP_LAST_CAP) {
        return fail(Errno::einval);
    }
    const auto one = CapabilitySet::of_bits(std::uint64_t{1} << capability);
    if (option == PR_CAPBSET_READ) {
        return own.bounding.has_all(one) ? 1 : 0;
    }
    return done(become(call, [&](task::Identity& identity) -> Outcome<> {
        identity.bounding = identity.bounding - one;
        return {};
    }));
}

// PR_CAP_AMBIENT: what executed programs keep.
Value ambient_set(Call& call, std::uint64_t operation, std::uint64_t capability, std::uint64_t fourth,
                  std::uint64_t fifth) {
    const bool clears = operation == PR_CAP_AMBIENT_CLEAR_ALL;
    if (fourth != 0 || fifth != 0 || capability > (clears ? 0 : CAP_LAST_CAP)) {
        return fail(Errno::einval);
    }
    const auto one = clears ? CapabilitySet::all() : CapabilitySet::of_bits(std::uint64_t{1} << capability);
    switch (operation) {
        case PR_CAP_AMBIENT_IS_SET:
            return call.thread.identity.ambient.has_all(one) ? 1 : 0;
        case PR_CAP_AMBIENT_RAISE:
            return done(become(call, [&](task::Identity& identity) { return identity.raise_ambient(one); }));
        case PR_CAP_AMBIENT_LOWER:
        case PR_CAP_AMBIENT_CLEAR_ALL:
            return done(become(call, [&](task::Identity& identity) -> Outcome<> {
                identity.ambient = identity.ambient - one;
                return {};
            }));
        default:
            return fail(Errno::einval);
    }
}

Value set_flag(bool task::Process::* flag, Call& call, std::uint64_t value) {
    const task::SpinGuard guard(task::tree_lock());
    call.process().*flag = value != 0;
    return 0;
}

Value prctl(Call& call, int option, std::uint64_t argument, std::uint64_t third, std::uint64_t fourth,
            std::uint64_t fifth) {
    task::Process& process = call.process();
    const bool is_bare = third == 0 && fourth == 0 && fifth == 0;
    switch (option) {
        case PR_SET_NAME:
            return set_name(call, UserAddress(argument));
        case PR_GET_NAME:
            return done(copy_out(UserAddress(argument), std::as_bytes(std::span(call.thread.name))));
        case PR_GET_DUMPABLE:
            return process.is_dumpable ? 1 : 0;
        case PR_SET_DUMPABLE:
            return argument > 1 ? Value(fail(Errno::einval))
                                : set_flag(&task::Process::is_dumpable, call, argument);
        case PR_SET_SECCOMP:
            return argument == SECCOMP_MODE_STRICT ? confine(call) : Value(fail(Errno::einval));
        case PR_GET_SECCOMP:  // one that is confined cannot ask
            return 0;
        case PR_SET_NO_NEW_PRIVS:
            if (argument != 1 || !is_bare) {
                return fail(Errno::einval);
            }
            return done(become(call, [](task::Identity& identity) -> Outcome<> {
                identity.no_new_privileges = true;
                return {};
            }));
        case PR_GET_NO_NEW_PRIVS:
            if (argument != 0 || !is_bare) {
                return fail(Errno::einval);
            }
            return call.thread.identity.no_new_privileges ? 1 : 0;
        case PR_SET_KEEPCAPS:
            return argument > 1 ? Value(fail(Errno::einval))
                                : done(become(call, [&](task::Identity& identity) {
                                      return identity.set_keeps_capabilities(argument != 0);
                                  }));
        case PR_GET_KEEPCAPS:
            return call.thread.identity.keeps_capabilities() ? 1 : 0;
        case PR_CAPBSET_READ:
        case PR_CAPBSET_DROP:
            return bounding_set(call, option, argument);
        case PR_CAP_AMBIENT:
            return ambient_set(call, argument, third, fourth, fifth);
        case PR_GET_SECUREBITS:
            return call.thread.identity.secure_bits;
        case PR_SET_SECUREBITS:
            return done(
                become(call, [&](task::Identity& identity) { return identity.set_secure_bits(argument); }));
        case PR_SET_PDEATHSIG: {
            if (argument > static_cast<std::uint64_t>(task::signal_count)) {
                return fail(Errno::einval);
            }
            const task::SpinGuard guard(task::tree_lock());
            process.parent_end_signal = static_cast<int>(argument);
            return 0;
        }
        case PR_GET_PDEATHSIG:
            return done(UserPointer<int>(argument).write(process.parent_end_signal));
        case PR_SET_CHILD_SUBREAPER:
            return set_flag(&task::Process::is_subreaper, call, argument);
        case PR_GET_CHILD_SUBREAPER:
            return done(UserPointer<int>(argument).write(process.is_subreaper ? 1 : 0));
        case PR_SET_TIMERSLACK:
            call.thread.timer_slack = argument == 0 ? usual_timer_slack : argument;
            return 0;
        case PR_GET_TIMERSLACK:
            return call.thread.timer_slack == 0 ? usual_timer_slack : call.thread.timer_slack;
        case PR_SET_THP_DISABLE:
            if (!is_bare) {
                return fail(Errno::einval);
            }
            process.space->set_large_pages(argument == 0);
            return 0;
        case PR_GET_THP_DISABLE:
            if (argument != 0 || !is_bare) {
                return fail(Errno::einval);
            }
            return process.space->has_large_pages() ? 0 : 1;
        default:
            return fail(Errno::einval);
    }
}

constexpr Entry entries[] = {
    {__NR_prctl, "prctl", handler_of<prctl>, Support::partial,
     "names, dumpable, no new privileges, strict seccomp, signal of the parent's end, subreaper; "
     "capabilities; a thread's slack of timers has none"},
    {__NR_seccomp, "seccomp", handler_of<seccomp>, Support::partial,
     "strict mode only; who breaks it ends with all its threads"},
};

}  // namespace

constinit const std::span<const Entry> control_calls = entries;

}  // namespace pv::linux
