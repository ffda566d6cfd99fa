// Calls on signals.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <sys/resource.h>

#include "fs/wait.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"

namespace pv::linux {
namespace {

using task::ProcessId;
using task::SignalAction;
using task::SignalInfo;
using task::SignalSet;

constexpr std::uint64_t set_size = sizeof(SignalSet);

Value rt_sigaction(Call& call, int signal, UserPointer<const SignalAction> action,
                   UserPointer<SignalAction> old, std::uint64_t size) {
    if (size != set_size || signal < 1 || signal > task::signal_count ||
        (!action.is_null() && (task::bit_of(signal) & task::unstoppable) != 0)) {
        return fail(Errno::einval);
    }
    SignalAction given{};
    if (!action.is_null()) {
        given = PV_TRY(action.read());
        given.mask &= ~task::unstoppable;
    }
    SignalAction before{};
    {
        const task::SpinGuard guard(task::tree_lock());
        SignalAction& kept = (*call.process().actions)[signal];
        before = kept;
        if (!action.is_null()) {
            kept = given;
            const bool ignores =
                given.handler == 1 ||
                (given.handler == 0 && task::default_action(signal) == task::DefaultAction::ignore);
            if (ignores) {
                // What is ignored from now on is not kept for later.
                call.process().pending.forget(task::bit_of(signal));
                for (task::UserThread& thread : call.process().threads) {
                    thread.pending.forget(task::bit_of(signal));
                }
            }
        }
    }
    return done(old.write_if_wanted(before));
}

Value rt_sigprocmask(Call& call, int how, UserPointer<const SignalSet> set, UserPointer<SignalSet> old,
                     std::uint64_t size) {
    if (size != set_size) {
        return fail(Errno::einval);
    }
    const SignalSet before = call.thread.blocked.load(std::memory_order_relaxed);
    if (!set.is_null()) {
        const SignalSet given = PV_TRY(set.read());
        switch (how) {
            case SIG_BLOCK:
                task::set_blocked(call.thread, before | given);
                break;
            case SIG_UNBLOCK:
                task::set_blocked(call.thread, before & ~given);
                break;
            case SIG_SETMASK:
                task::set_blocked(call.thread, given);
                break;
            default:
                return fail(Errno::einval);
        }
    }
    return done(old.write_if_wanted(before));
}

Value rt_sigreturn(Call& call) {
    task::return_from_signal(call.thread);
    return call.frame.rax;
}

Value rt_sigpending(Call& call, UserPointer<SignalSet> set, std::uint64_t size) {
    if (size > set_size) {
        return fail(Errno::einval);
    }
    SignalSet pending = 0;
    {
        const task::SpinGuard guard(task::tree_lock());
        pending = (call.thread.pending.set() | call.process().pending.set()) &
                  call.thread.blocked.load(std::memory_order_relaxed);
    }
    return done(copy_out(set.address(), fs::bytes_of(pending).first(size)));
}

// Until a signal comes that is not blocked.
Value wait_for_signal() {
    task::WaitQueue nobody;
    static_cast<void>(
        fs::wait(nobody, Deadline::never("a program waits for a signal"), [] { return false; }));
    return fail(Errno::eintr);
}

Value rt_sigsuspend(Call& call, UserPointer<const SignalSet> set, std::uint64_t size) {
    if (size != set_size) {
        return fail(Errno::einval);
    }
    const SignalSet during = PV_TRY(set.read());
    call.thread.saved_blocked = call.thread.blocked.load(std::memory_order_relaxed);
    task::set_blocked(call.thread, during);
    call.thread.has_saved_blocked = true;
    return wait_for_signal();
}

Value pause(Call&) {
    return wait_for_signal();
}

Value rt_sigtimedwait(Call& call, UserPointer<const SignalSet> set, UserPointer<SignalInfo> info,
                      UserPointer<const timespec> timeout, std::uint64_t size) {
    if (size != set_size) {
        return fail(Errno::einval);
    }
    const SignalSet wanted = PV_TRY(set.read()) & ~task::unstoppable;
    Deadline deadline = Deadline::never("a program waits for a signal");
    if (!timeout.is_null()) {
        const timespec span = PV_TRY(timeout.read());
        deadline = PV_TRY(deadline_after(span));
    }
    SignalInfo taken{};
    int signal = 0;
    const auto take = [&] {
        const task::SpinGuard guard(task::tree_lock());
        signal = task::take_signal(call.thread, wanted, taken);
        return signal != 0;
    };
    // While it waits, what it waits for is let through to wake it; it is taken before any handler could run.
    const SignalSet before = call.thread.blocked.load(std::memory_order_relaxed);
    task::set_blocked(call.thread, before & ~wanted);
    task::WaitQueue nobody;
    const Outcome<> waited = fs::wait(nobody, deadline, take);
    task::set_blocked(call.thread, before);
    if (signal == 0 && !take()) {
        return fail(waited.error() == Errno::etimedout ? Errno::eagain : waited.error());
    }
    PV_TRY(info.write_if_wanted(taken));
    return static_cast<std::uint64_t>(signal);
}

// kill(2): to whom one may send. The tree's lock is held.
bool may_send(const Call& call, const task::Process& to, const task::Identity& who, int signal) {
    const task::Identity& own = call.thread.identity;
    return &call.process() == &to || who.takes_signals_of(own.user, own.effective_user) ||
           own.has(Capability::kill) || (signal == SIGCONT && call.process().session == to.session);
}

// Sends to each process that `chosen` accepts. Errors: esrch (none), eperm (none that one may send to).
template <class F>
Value send_to(Call& call, int signal, F&& chosen) {
    const SignalInfo info = task::make_info(signal, SI_USER, call.thread);
    bool any = false;
    bool sent = false;
    ProcessId last = 0;
    while (true) {
        Ref<task::Process> next;
        {
            const task::SpinGuard guard(task::tree_lock());
            task::for_each_process([&](task::Process& process) {
                if (next == nullptr && process.id > last && chosen(process)) {
                    last = process.id;
                    any = true;
                    if (may_send(call, process, process.identity(), signal)) {
                        next = Ref<task::Process>(process);
                    }
                }
            });
        }
        if (next == nullptr) {
            break;
        }
        sent = true;
        task::send_signal(*next, signal, info);
    }
    if (sent) {
        return 0;
    }
    return fail(any ? Errno::eperm : Errno::esrch);
}

Value kill(Call& call, ProcessId id, int signal) {
    if (signal < 0 || signal > task::signal_count) {
        return fail(Errno::einval);
    }
    if (id == std::numeric_limits<int>::min()) {
        return fail(Errno::esrch);
    }
    const task::Process& self = call.process();
    if (id > 0) {
        return send_to(call, signal, [&](const task::Process& p) { return p.id == id; });
    }
    if (id == -1) {
        return send_to(call, signal, [&](const task::Process& p) { return p.id != 1 && &p != &self; });
    }
    const ProcessId group = id == 0 ? self.group : -id;
    return send_to(call, signal, [&](const task::Process& p) { return p.group == group; });
}

Value send_to_thread(Call& call, ProcessId process, ProcessId id, int signal, const SignalInfo& info) {
    if (id <= 0 || process == 0 || signal < 0 || signal > task::signal_count) {
        return fail(Errno::einval);
    }
    Ref<task::UserThread> thread;
    {
        const task::SpinGuard guard(task::tree_lock());
        task::UserThread* found = task::find_thread(id);
        if (found == nullptr || (process > 0 && found->process().id != process)) {
            return fail(Errno::esrch);
        }
        if (!may_send(call, found->process(), found->identity, signal)) {
            return fail(Errno::eperm);
        }
        if (signal >= task::first_real_time_signal &&
            found->pending.count() >= found->process().limits[RLIMIT_SIGPENDING].soft) {
            return fail(Errno::eagain);
        }
        thread = Ref<task::UserThread>(*found);
    }
    task::send_signal(*thread, signal, info);
    return 0;
}

Value tkill(Call& call, ProcessId id, int signal) {
    return send_to_thread(call, -1, id, signal, task::make_info(signal, SI_TKILL, call.thread));
}

Value tgkill(Call& call, ProcessId process, ProcessId id, int signal) {
    if (process <= 0) {
        return fail(Errno::einval);
    }
    return send_to_thread(call, process, id, signal, task::make_info(signal, SI_TKILL, call.thread));
}

// What a program says about a signal itself: nobody pretends that the kernel or kill(2) sent it to another.
Outcome<SignalInfo> told_by_program(const Call& call, ProcessId to, int signal,
                                    UserPointer<const SignalInfo> info) {
    SignalInfo told = PV_TRY(info.read());
    if ((told.si_code >= 0 || told.si_code == SI_TKILL) && to != call.process().id) {
        return fail(Errno::eperm);
    }
    told.si_signo = signal;
    return told;
}

Value rt_sigqueueinfo(Call& call, ProcessId id, int signal, UserPointer<const SignalInfo> info) {
    const SignalInfo told = PV_TRY(told_by_program(call, id, signal, info));
    if (signal < 0 || signal > task::signal_count) {
        return fail(Errno::einval);
    }
    Ref<task::Process> process;
    {
        const task::SpinGuard guard(task::tree_lock());
        task::Process* found = id > 0 ? task::find_process(id) : nullptr;
        if (found == nullptr) {
            return fail(Errno::esrch);
        }
        if (!may_send(call, *found, found->identity(), signal)) {
            return fail(Errno::eperm);
        }
        if (found->pending.count() >= found->limits[RLIMIT_SIGPENDING].soft) {
            return fail(Errno::eagain);
        }
        process = Ref<task::Process>(*found);
    }
    task::send_signal(*process, signal, told);
    return 0;
}

Value rt_tgsigqueueinfo(Call& call, ProcessId id, ProcessId thread, int signal,
                        UserPointer<const SignalInfo> info) {
    const SignalInfo told = PV_TRY(told_by_program(call, id, signal, info));
    if (id <= 0) {
        return fail(Errno::einval);
    }
    return send_to_thread(call, id, thread, signal, told);
}

Value sigaltstack(Call& call, UserPointer<const stack_t> stack, UserPointer<stack_t> old) {
    task::UserThread& thread = call.thread;
    const bool is_on = (thread.stack_flags & SS_DISABLE) == 0 && call.frame.rsp > thread.stack_base &&
                       call.frame.rsp - thread.stack_base <= thread.stack_size;
    stack_t before{};
    before.ss_sp = reinterpret_cast<void*>(thread.stack_base);
    before.ss_size = thread.stack_size;
    before.ss_flags = is_on ? SS_ONSTACK : static_cast<int>(thread.stack_flags);
    if (!stack.is_null()) {
        const stack_t given = PV_TRY(stack.read());
        if (is_on) {
            return fail(Errno::eperm);
        }
        if ((given.ss_flags & ~(SS_DISABLE | SS_ONSTACK)) != 0) {
            return fail(Errno::einval);
        }
        const bool off = (given.ss_flags & SS_DISABLE) != 0;
        constexpr std::size_t least = 2048;  // MINSIGSTKSZ of the interface
        if (!off && given.ss_size < least) {
            return fail(Errno::enomem);
        }
        thread.stack_base = off ? 0 : reinterpret_cast<std::uintptr_t>(given.ss_sp);
        thread.stack_size = off ? 0 : given.ss_size;
        thread.stack_flags = off ? SS_DISABLE : 0;
    }
    return done(old.write_if_wanted(before));
}

constexpr Entry entries[] = {
    {__NR_rt_sigaction, "rt_sigaction", handler_of<rt_sigaction>},
    {__NR_rt_sigprocmask, "rt_sigprocmask", handler_of<rt_sigprocmask>},
    {__NR_rt_sigreturn, "rt_sigreturn", handler_of<rt_sigreturn>, Support::full, {}, Restart::no},
    {__NR_rt_sigpending, "rt_sigpending", handler_of<rt_sigpending>},
    {__NR_rt_sigsuspend,
     "rt_sigsuspend",
     handler_of<rt_sigsuspend>,
     Support::full,
     {},
     Restart::unless_handled},
    {__NR_rt_sigtimedwait, "rt_sigtimedwait", handler_of<rt_sigtimedwait>, Support::full, {}, Restart::no},
    {__NR_pause, "pause", handler_of<pause>, Support::full, {}, Restart::unless_handled},
    {__NR_kill, "kill", handler_of<kill>},
    {__NR_tkill, "tkill", handler_of<tkill>},
    {__NR_tgkill, "tgkill", handler_of<tgkill>},
    {__NR_rt_sigqueueinfo, "rt_sigqueueinfo", handler_of<rt_sigqueueinfo>},
    {__NR_rt_tgsigqueueinfo, "rt_tgsigqueueinfo", handler_of<rt_tgsigqueueinfo>},
    {__NR_sigaltstack, "sigaltstack", handler_of<sigaltstack>},
};

}  // namespace

constinit const std::span<const Entry> signal_calls = entries;

}  // namespace pv::linux
