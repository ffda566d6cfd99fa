// Processes: birth, end, and waiting for a child.
// SPDX-License-Identifier: MIT
#include "task/process.hpp"

#include <linux/sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

#include <cstring>
#include <new>

#include "arch/processor.hpp"
#include "base/panic.hpp"
#include "memory/frames.hpp"
#include "task/control_block.hpp"
#include "task/park.hpp"
#include "task/process_tree.hpp"
#include "task/scheduler.hpp"
#include "task/thread.hpp"
#include "task/thread_life.hpp"

namespace pv::task {
namespace {

/// What a new thread takes with it to where it starts.
struct Start {
    Ref<UserThread> thread;
    arch::TrapFrame frame{};
    UserAddress child_tid{};
};

void run_user_thread(void* argument) {
    UserThread* thread = nullptr;
    arch::TrapFrame frame{};
    UserAddress child_tid{};
    {
        auto* start = static_cast<Start*>(argument);
        // The list's part keeps it from here on: nobody but itself takes it out.
        thread = start->thread.get();
        frame = start->frame;
        child_tid = start->child_tid;
        delete start;
    }
    {
        const SpinGuard guard(tree_lock());
        thread->control = &current();
        if (!thread->cpus.all()) {
            Scheduler::allow(current(), thread->cpus);
        }
        // Others may have changed it while nothing could be told of it.
        const Scheduling& wanted = thread->scheduling;
        if (current().turn != wanted.turn() || current().level != level_of(wanted.priority())) {
            set_scheduling(*thread, Scheduling(wanted));
        }
    }
    arch::begin_user(*thread);
    if (child_tid.value() != 0) {
        // A child whose own memory is not there finds out by itself.
        static_cast<void>(arch::copy_to_user(child_tid, &thread->id, sizeof thread->id));
    }
    arch::enter_user_mode(frame);
}

bool is_user_range(UserAddress at, std::size_t size) {
    return at <= arch::user_end && arch::user_end - at >= size;
}

Outcome<> copy_process(Process& child, Process& parent, const CloneRequest& request) {
    const auto has = [&](std::uint64_t flag) { return (request.flags & flag) != 0; };
    child.space = has(CLONE_VM) ? parent.space : PV_TRY(parent.space->fork());
    child.descriptors = has(CLONE_FILES) ? parent.descriptors : PV_TRY(parent.descriptors->duplicate());
    child.context = has(CLONE_FS) ? parent.context : PV_TRY(parent.context->duplicate());
    child.started = now();
    if (has(CLONE_SIGHAND)) {
        child.actions = parent.actions;
    } else {
        child.actions = Ref<SignalActions>::adopt(new (std::nothrow) SignalActions);
        if (child.actions == nullptr) {
            return fail(Errno::enomem);
        }
    }
    const SpinGuard guard(tree_lock());
    if (!has(CLONE_SIGHAND)) {
        child.actions->of = parent.actions->of;
        if (has(CLONE_CLEAR_SIGHAND)) {
            for (SignalAction& action : child.actions->of) {
                action = action.handler == 1 ? action : SignalAction{};
            }
        }
    }
    child.group = parent.group;
    child.session = parent.session;
    child.is_dumpable = parent.is_dumpable;
    child.undone_at_end = has(CLONE_SYSVSEM) ? parent.undone_at_end : nullptr;
    child.image = parent.image;
    child.limits = parent.limits;
    child.has_fixed_layout = parent.has_fixed_layout;
    child.exit_signal = request.exit_signal;
    return {};
}

bool are_possible(std::uint64_t flags) {
    constexpr std::uint64_t unknown_here = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                           CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_PIDFD |
                                           CLONE_PARENT;
    if ((flags & unknown_here) != 0) {
        return false;
    }
    const auto has = [&](std::uint64_t flag) { return (flags & flag) != 0; };
    return !(has(CLONE_THREAD) && (!has(CLONE_SIGHAND) || !has(CLONE_FILES) || !has(CLONE_FS))) &&
           !(has(CLONE_SIGHAND) && !has(CLONE_VM)) && !(has(CLONE_SIGHAND) && has(CLONE_CLEAR_SIGHAND));
}

// Whether the user has as many threads as it may (RLIMIT_NPROC); user 0 may have any number. The tree's lock
// is held.
bool is_at_limit(const UserThread& self) {
    const std::uint64_t most = self.process().limits[RLIMIT_NPROC].soft;
    const Identity& who = self.identity;
    if (who.user == 0 || most == ~0ULL || who.has(Capability::sys_resource) ||
        who.has(Capability::sys_admin)) {
        return false;
    }
    std::uint64_t count = 0;
    for_each_process([&](const Process& process) {
        count += process.identity().user == who.user ? process.live_threads : 0;
    });
    return count >= most;
}

// The process is one with its first thread only from here on.
void undo(Process& process, UserThread& thread) {
    Ref<Process> gone;
    {
        const SpinGuard guard(tree_lock());
        if (retire(thread)) {
            gone = remove_child(process);
        }
    }
    thread.drop_owner();
}

}  // namespace

Outcome<ProcessId> clone(UserThread& self, const CloneRequest& request) {
    if (!are_possible(request.flags)) {
        return fail(Errno::einval);
    }
    const auto has = [&](std::uint64_t flag) { return (request.flags & flag) != 0; };
    if (memory::is_low()) {
        return fail(Errno::eagain);
    }
    Process& parent = self.process();
    Ref<Process> process(parent);
    const bool is_process = !has(CLONE_THREAD);
    if (is_process) {
        process = Ref<Process>::adopt(new (std::nothrow) Process);
        if (process == nullptr) {
            return fail(Errno::enomem);
        }
        PV_TRY(copy_process(*process, parent, request));
        process->has_released.store(!has(CLONE_VFORK), std::memory_order_relaxed);
    }
    auto thread = Ref<UserThread>::adopt(new (std::nothrow) UserThread(*process));
    auto* start = new (std::nothrow) Start;
    if (thread == nullptr || start == nullptr || !thread->vectors.allocate()) {
        delete start;
        return fail(Errno::enomem);
    }
    arch::save_vectors(self);
    arch::save_bases(self);
    std::memcpy(thread->vectors.bytes().data(), self.vectors.bytes().data(), arch::VectorState::size());
    thread->arch::UserState::id = arch::next_user_id();
    thread->tables = process->space->tables();
    thread->fs_base = has(CLONE_SETTLS) ? request.thread_pointer : self.fs_base;
    thread->gs_base = self.gs_base;
    thread->blocked.store(self.blocked.load(std::memory_order_relaxed), std::memory_order_relaxed);
    thread->name = self.name;
    thread->identity = self.identity;
    thread->cpus = self.cpus;
    thread->clear_tid = has(CLONE_CHILD_CLEARTID) ? request.child_tid.value() : 0;
    if (is_process && !has(CLONE_VM)) {
        thread->stack_base = self.stack_base;
        thread->stack_size = self.stack_size;
        thread->stack_flags = self.stack_flags;
    }
    start->thread = thread;
    start->frame = arch::user_frame();
    start->frame.rax = 0;
    start->frame.rsp = request.stack != 0 ? request.stack : start->frame.rsp;
    start->child_tid = has(CLONE_CHILD_SETTID) && is_user_range(request.child_tid, sizeof(ProcessId))
                           ? request.child_tid
                           : UserAddress{};
    const int event = has(CLONE_VFORK)                 ? PTRACE_EVENT_VFORK
                      : request.exit_signal == SIGCHLD ? PTRACE_EVENT_FORK
                                                       : PTRACE_EVENT_CLONE;
    std::unique_ptr<EndNotice> notice(self.trace.tracer == nullptr ? nullptr : new (std::nothrow) EndNotice);
    Outcome<> listed;
    Priority priority = Priority::normal;
    {
        const SpinGuard guard(tree_lock());
        listed = parent.ends || is_at_limit(self) ? fail(Errno::eagain)
                 : is_process                     ? enlist(*process, &parent, *thread)
                                                  : enlist(*thread);
        if (listed && !has(CLONE_UNTRACED)) {
            inherit_trace(self, *thread, event, notice);
        }
        thread->scheduling = self.scheduling.inherited();
        priority = thread->scheduling.priority();
    }
    if (!listed) {
        delete start;
        return fail(listed.error());
    }
    // The tree's parts: of the thread, and of the process.
    thread->add_owner();
    if (is_process) {
        process->add_owner();
    }
    const ProcessId id = thread->id;
    if (has(CLONE_PARENT_SETTID) && is_user_range(request.parent_tid, sizeof id)) {
        static_cast<void>(arch::copy_to_user(request.parent_tid, &id, sizeof id));
    }
    if (!Thread::create(std::string_view(thread->name.data()), run_user_thread, start, priority)) {
        delete start;
        undo(*process, *thread);
        return fail(Errno::eagain);
    }
    if (is_process && parent.limits[RLIMIT_CPU].soft != ~0ULL) {
        static_cast<void>(
            limit_processor_time(*process));  // the thread for it is there, since the parent's was set
    }
    static_cast<void>(trace_event(self, event, static_cast<std::uint64_t>(id)));
    if (has(CLONE_VFORK)) {
        const auto released = [&] { return process->has_released.load(std::memory_order_acquire); };
        static_cast<void>(
            process->released.wait(Deadline::never("vfork's child uses its parent's memory"), [&] {
                return released() || (self.work.load(std::memory_order_seq_cst) &
                                      static_cast<std::uint32_t>(Work::end)) != 0;
            }));
        static_cast<void>(trace_event(self, PTRACE_EVENT_VFORK_DONE, static_cast<std::uint64_t>(id)));
    }
    return id;
}

Outcome<Ref<Process>> create_first(Ref<fs::DescriptorTable> descriptors, Ref<fs::Context> context,
                                   void (*entry)(void*), void* argument) {
    auto process = Ref<Process>::adopt(new (std::nothrow) Process);
    if (process == nullptr) {
        return fail(Errno::enomem);
    }
    process->actions = Ref<SignalActions>::adopt(new (std::nothrow) SignalActions);
    auto thread = Ref<UserThread>::adopt(new (std::nothrow) UserThread(*process));
    if (process->actions == nullptr || thread == nullptr) {
        return fail(Errno::enomem);
    }
    PV_TRY(as_outcome(thread->vectors.allocate()));
    thread->arch::UserState::id = arch::next_user_id();
    process->space = PV_TRY(as_outcome(memory::AddressSpace::create(0)));
    process->descriptors = std::move(descriptors);
    process->context = std::move(context);
    process->started = now();
    thread->tables = process->space->tables();
    {
        const SpinGuard guard(tree_lock());
        PV_TRY(enlist(*process, nullptr, *thread));
    }
    process->add_owner();
    thread->add_owner();

    struct First {
        UserThread* thread;
        void (*entry)(void*);
        void* argument;
    };

    auto* first = new (std::nothrow) First{thread.get(), entry, argument};
    const auto run = [](void* given) {
        const First what = *static_cast<First*>(given);
        delete static_cast<First*>(given);
        {
            const SpinGuard guard(tree_lock());
            what.thread->control = &current();
        }
        arch::begin_user(*what.thread);
        what.entry(what.argument);
    };
    if (first == nullptr || !Thread::create("init", run, first)) {
        delete first;
        undo(*process, *thread);
        return fail(Errno::enomem);
    }
    return process;
}

void release_parent(Process& process) {
    if (!process.has_released.exchange(true, std::memory_order_seq_cst)) {
        process.released.wake_all();
    }
}

}  // namespace pv::task
