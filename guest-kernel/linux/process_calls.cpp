// Calls on processes and threads: birth, programs, end, waiting, futexes.
// SPDX-License-Identifier: MIT
#include <asm/prctl.h>
#include <asm/unistd.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <sched.h>
#include <time.h>

#include <algorithm>

#include "arch/processor.hpp"
#include "fs/operations.hpp"
#include "linux/exec.hpp"
#include "linux/extensible.hpp"
#include "linux/path_argument.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"
#include "task/process_futex.hpp"
#include "task/thread.hpp"

namespace pv::linux {
namespace {

using task::ProcessId;

constexpr int wait_flags =
    WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WALL | static_cast<int>(__WCLONE);

std::uint64_t as_value(ProcessId id) {
    return static_cast<std::uint64_t>(id);
}

Value exit(Call& call, int status) {
    task::exit_thread(call.thread, (status & 0xff) << 8);
}

Value exit_group(Call& call, int status) {
    task::exit_process(call.thread, (status & 0xff) << 8);
}

Value fork(Call& call) {
    return as_value(PV_TRY(task::clone(call.thread, {.exit_signal = SIGCHLD})));
}

Value vfork(Call& call) {
    return as_value(
        PV_TRY(task::clone(call.thread, {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD})));
}

Value clone(Call& call, std::uint64_t flags, std::uint64_t stack, UserAddress parent_tid,
            UserAddress child_tid, std::uint64_t thread_pointer) {
    // A number that is no signal means none.
    const auto given = static_cast<int>(flags & CSIGNAL);
    const int signal = given <= task::signal_count ? given : 0;
    if ((flags & CLONE_SETTLS) != 0 && thread_pointer >= arch::user_end.value()) {
        return fail(Errno::eperm);
    }
    return as_value(PV_TRY(task::clone(call.thread, {.flags = flags & ~std::uint64_t{CSIGNAL},
                                                     .exit_signal = signal,
                                                     .stack = stack,
                                                     .thread_pointer = thread_pointer,
                                                     .child_tid = child_tid,
                                                     .parent_tid = parent_tid})));
}

Value clone3(Call& call, UserPointer<const clone_args> arguments, std::uint64_t size) {
    if (size < CLONE_ARGS_SIZE_VER0) {
        return fail(Errno::einval);
    }
    const clone_args given = PV_TRY(read_extensible<clone_args>(arguments.address(), size));
    if ((given.flags & (CSIGNAL | CLONE_DETACHED)) != 0 || given.exit_signal > task::signal_count ||
        given.set_tid_size != 0 || (given.stack == 0) != (given.stack_size == 0) ||
        ((given.flags & (CLONE_THREAD | CLONE_PARENT)) != 0 && given.exit_signal != 0) ||
        given.stack + given.stack_size < given.stack ||
        ((given.flags & CLONE_SETTLS) != 0 && given.tls >= arch::user_end.value())) {
        return fail(Errno::einval);
    }
    return as_value(PV_TRY(task::clone(call.thread, {.flags = given.flags,
                                                     .exit_signal = static_cast<int>(given.exit_signal),
                                                     .stack = given.stack + given.stack_size,
                                                     .thread_pointer = given.tls,
                                                     .child_tid = UserAddress(given.child_tid),
                                                     .parent_tid = UserAddress(given.parent_tid)})));
}

Outcome<> add_all(Strings& strings, UserPointer<const std::uint64_t> list) {
    for (std::uint64_t i = 0; !list.is_null(); ++i) {
        const std::uint64_t text = PV_TRY((list + i).read());
        if (text == 0) {
            break;
        }
        PV_TRY(strings.add_user(UserAddress(text)));
    }
    return {};
}

Value execute_program(Call& call, int directory, UserString path, UserPointer<const std::uint64_t> arguments,
                      UserPointer<const std::uint64_t> environment, int flags) {
    PathArgument where;
    PV_TRY(where.read(call, directory, path, (flags & AT_EMPTY_PATH) != 0));
    Program program;
    if (where.text().empty()) {
        program.file = PV_TRY(call.process().descriptors->get(directory));
    } else {
        program.file = PV_TRY(fs::open(where.caller(), where.text(), fs::open_flag::read_only, 0,
                                       {.follow_last = (flags & AT_SYMLINK_NOFOLLOW) == 0}));
    }
    program.path = where.text();
    PV_TRY(add_all(program.arguments, arguments));
    PV_TRY(add_all(program.environment, environment));
    if (program.arguments.count() == 0) {
        PV_TRY(program.arguments.add(""));  // since Linux 5.18 argc is never 0
    }
    PV_TRY(execute(call.thread, program, call.frame));
    return 0;
}

Value execve(Call& call, UserString path, UserPointer<const std::uint64_t> arguments,
             UserPointer<const std::uint64_t> environment) {
    return execute_program(call, AT_FDCWD, path, arguments, environment, 0);
}

Value execveat(Call& call, int directory, UserString path, UserPointer<const std::uint64_t> arguments,
               UserPointer<const std::uint64_t> environment, int flags) {
    if ((flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0) {
        return fail(Errno::einval);
    }
    return execute_program(call, directory, path, arguments, environment, flags);
}

Outcome<> write_usage(UserAddress usage, const task::WaitResult& result) {
    if (usage.value() == 0) {
        return {};
    }
    RusageValue value{};
    value.user = TimevalValue::from(result.time.user());
    value.system = TimevalValue::from(result.time.system);
    value.faults = static_cast<std::int64_t>(result.faults);
    return UserPointer<RusageValue>(usage.value()).write(value);
}

Value wait4(Call& call, ProcessId id, UserPointer<int> status, int options, UserAddress usage) {
    if ((options & ~wait_flags) != 0) {
        return fail(Errno::einval);
    }
    if (id == std::numeric_limits<int>::min()) {
        return fail(Errno::esrch);
    }
    task::WaitRequest request;
    if (id > 0) {
        request.which = task::WaitRequest::Which::process;
        request.id = id;
    } else if (id != -1) {
        request.which = task::WaitRequest::Which::group;
        request.id = id == 0 ? call.process().group : -id;
    }
    request.no_hang = (options & WNOHANG) != 0;
    request.stopped = (options & WUNTRACED) != 0;
    request.continued = (options & WCONTINUED) != 0;
    const task::WaitResult result = PV_TRY(task::wait_for_child(call.thread, request));
    if (result.id != 0) {
        PV_TRY(status.write_if_wanted(result.status));
        PV_TRY(write_usage(usage, result));
    }
    return as_value(result.id);
}

Value waitid(Call& call, int kind, ProcessId id, UserPointer<siginfo_t> info, int options,
             UserAddress usage) {
    constexpr int wanted = WEXITED | WSTOPPED | WCONTINUED;
    if ((options & ~(wanted | WNOWAIT | wait_flags)) != 0 || (options & wanted) == 0) {
        return fail(Errno::einval);
    }
    task::WaitRequest request;
    request.id = id;
    switch (kind) {
        case P_ALL:
            break;
        case P_PID:
            request.which = task::WaitRequest::Which::process;
            break;
        case P_PGID:
            request.which = task::WaitRequest::Which::group;
            request.id = id == 0 ? call.process().group : id;
            break;
        default:
            return fail(Errno::einval);
    }
    if (kind != P_ALL && (id < 0 || (kind == P_PID && id == 0))) {
        return fail(Errno::einval);
    }
    request.no_hang = (options & WNOHANG) != 0;
    request.exited = (options & WEXITED) != 0;
    request.stopped = (options & WSTOPPED) != 0;
    request.continued = (options & WCONTINUED) != 0;
    request.keep = (options & WNOWAIT) != 0;
    const task::WaitResult result = PV_TRY(task::wait_for_child(call.thread, request));
    siginfo_t told{};
    if (result.id != 0) {
        told.si_signo = SIGCHLD;
        told.si_pid = result.id;
        told.si_uid = result.user;
        const int low = result.status & 0x7f;
        told.si_code = result.status == 0xffff ? CLD_CONTINUED
                       : low == 0x7f           ? CLD_STOPPED
                       : low != 0              ? CLD_KILLED
                                               : CLD_EXITED;
        told.si_status = result.status == 0xffff   ? SIGCONT
                         : low == 0 || low == 0x7f ? result.status >> 8 & 0xff
                                                   : low;
        PV_TRY(write_usage(usage, result));
    }
    PV_TRY(info.write_if_wanted(told));
    return 0;
}

Value getpid(Call& call) {
    return as_value(call.process().id);
}

Value gettid(Call& call) {
    return as_value(call.thread.id);
}

Value getppid(Call& call) {
    return as_value(call.process().parent_id.load(std::memory_order_relaxed));
}

Value set_tid_address(Call& call, std::uint64_t address) {
    call.thread.clear_tid = address;
    return as_value(call.thread.id);
}

Value set_robust_list(Call& call, std::uint64_t head, std::uint64_t length) {
    if (length != 3 * sizeof(std::uint64_t)) {
        return fail(Errno::einval);
    }
    call.thread.robust_list = head;
    return 0;
}

Value get_robust_list(Call& call, ProcessId id, UserPointer<std::uint64_t> head,
                      UserPointer<std::uint64_t> length) {
    if (id != 0 && id != call.thread.id) {
        return fail(Errno::eperm);
    }
    PV_TRY(length.write(3 * sizeof(std::uint64_t)));
    return done(head.write(call.thread.robust_list));
}

Value futex(Call& call, UserAddress at, int operation, std::uint32_t value, std::uint64_t timeout,
            UserAddress at2, std::uint32_t value3) {
    const bool shared = (operation & FUTEX_PRIVATE_FLAG) == 0;
    const int command = operation & FUTEX_CMD_MASK;
    const auto deadline = [&]() -> Outcome<Deadline> {
        if (timeout == 0) {
            return Deadline::never("a program waits on a futex");
        }
        const auto time = PV_TRY(UserPointer<const timespec>(timeout).read());
        if (command == FUTEX_WAIT) {
            return deadline_after(time);
        }
        return deadline_at((operation & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, time);
    };
    switch (command) {
        case FUTEX_WAIT:
            return done(task::futex_wait(call.thread, at, shared, value, task::any_bit, PV_TRY(deadline())));
        case FUTEX_WAIT_BITSET:
            return done(task::futex_wait(call.thread, at, shared, value, value3, PV_TRY(deadline())));
        case FUTEX_WAKE:
            return task::futex_wake(call.thread, at, shared, value, task::any_bit);
        case FUTEX_WAKE_BITSET:
            return task::futex_wake(call.thread, at, shared, value, value3);
        case FUTEX_REQUEUE:
        case FUTEX_CMP_REQUEUE: {
            const auto move = static_cast<std::uint32_t>(timeout);
            if (static_cast<std::int32_t>(value) < 0 || static_cast<std::int32_t>(move) < 0) {
                return fail(Errno::einval);
            }
            return task::futex_requeue(call.thread, at, at2, shared, value, move,
                                       command == FUTEX_CMP_REQUEUE ? &value3 : nullptr);
        }
        default:
            return fail(Errno::enosys);
    }
}

Value arch_prctl(Call& call, int code, std::uint64_t address) {
    arch::save_bases(call.thread);
    switch (code) {
        case ARCH_SET_FS:
        case ARCH_SET_GS:
            if (address >= arch::user_end.value()) {
                return fail(Errno::eperm);
            }
            arch::set_bases(call.thread, code == ARCH_SET_FS ? address : call.thread.fs_base,
                            code == ARCH_SET_GS ? address : call.thread.gs_base);
            return 0;
        case ARCH_GET_FS:
            return done(UserPointer<std::uint64_t>(address).write(call.thread.fs_base));
        case ARCH_GET_GS:
            return done(UserPointer<std::uint64_t>(address).write(call.thread.gs_base));
        default:
            return fail(Errno::einval);
    }
}

constexpr Entry entries[] = {
    {__NR_exit, "exit", handler_of<exit>},
    {__NR_exit_group, "exit_group", handler_of<exit_group>},
    {__NR_fork, "fork", handler_of<fork>},
    {__NR_vfork, "vfork", handler_of<vfork>},
    {__NR_clone, "clone", handler_of<clone>, Support::partial,
     "no name spaces, no CLONE_PARENT, no CLONE_PIDFD; CLONE_THREAD needs CLONE_FILES and CLONE_FS"},
    {__NR_clone3, "clone3", handler_of<clone3>, Support::partial, "as clone; no set_tid, no cgroup"},
    {__NR_execve, "execve", handler_of<execve>, Support::partial, "files have no capabilities of their own"},
    {__NR_execveat, "execveat", handler_of<execveat>, Support::partial, "as execve"},
    {__NR_wait4, "wait4", handler_of<wait4>},
    {__NR_waitid, "waitid", handler_of<waitid>, Support::partial, "no P_PIDFD"},
    {__NR_getpid, "getpid", handler_of<getpid>},
    {__NR_gettid, "gettid", handler_of<gettid>},
    {__NR_getppid, "getppid", handler_of<getppid>},
    {__NR_set_tid_address, "set_tid_address", handler_of<set_tid_address>},
    {__NR_set_robust_list, "set_robust_list", handler_of<set_robust_list>},
    {__NR_get_robust_list, "get_robust_list", handler_of<get_robust_list>, Support::partial,
     "of oneself only"},
    {__NR_futex, "futex", handler_of<futex>, Support::partial, "no priority inheritance, no FUTEX_WAKE_OP"},
    {__NR_arch_prctl, "arch_prctl", handler_of<arch_prctl>, Support::partial, "segment bases only"},
};

}  // namespace

constinit const std::span<const Entry> process_calls = entries;

}  // namespace pv::linux
