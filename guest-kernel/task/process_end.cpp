// Processes: how threads and processes end, and what their parents are told.
// SPDX-License-Identifier: MIT
#include <sys/ptrace.h>

#include <utility>

#include "base/atomic.hpp"
#include "base/panic.hpp"
#include "fs/terminal.hpp"
#include "fs/wait.hpp"
#include "task/park.hpp"
#include "task/process.hpp"
#include "task/process_futex.hpp"
#include "task/process_tree.hpp"
#include "task/scheduler.hpp"
#include "task/thread_life.hpp"

namespace pv::task {
namespace {

constinit Atomic<bool> first_has_ended{false};
constinit Atomic<int> first_status{0};
constinit WaitQueue first_end;

struct Told {
    int code = 0;   ///< CLD_*
    int value = 0;  ///< the exit code or the signal
};

// si_code and si_status of SIGCHLD for a status as wait(2) has it.
Told told_of(int status) {
    const int signal = status & 0x7f;
    if (signal == 0) {
        return {CLD_EXITED, status >> 8 & 0xff};
    }
    return {(status & 0x80) != 0 ? CLD_DUMPED : CLD_KILLED, signal};
}

// The tree's lock is held.
void tell_parent(Process& child, int signal, Told told, PendingSignals::Queued*& entry) {
    if (signal != 0) {
        SignalInfo info = make_info(signal, told.code, &child);
        info.si_status = told.value;
        post_signal(*child.parent, signal, info, entry);
    }
    child.parent->changed.wake_all();
}

bool is_wanted_by_nobody(Process& child) {
    if (child.parent == nullptr || child.exit_signal != SIGCHLD) {
        return false;
    }
    const SignalAction& action = (*child.parent->actions)[SIGCHLD];
    return action.handler == 1 || (action.flags & SA_NOCLDWAIT) != 0;
}

// Who takes over the children of one that ends: the nearest that asked for them, or the first process.
Process* heir_of(const Process& process) {
    for (Process* one = process.parent; one != nullptr; one = one->parent) {
        if (one->is_subreaper && !one->ends) {
            return one;
        }
    }
    Process* const first = first_process();
    return first == &process ? nullptr : first;
}

void give_children_away(Process& process, PendingSignals::Queued*& entry) {
    Process* const heir = heir_of(process);
    while (!process.children.empty()) {
        Process& child = process.children.front();
        process.children.pop_front();
        child.set_parent(heir);
        if (child.parent_end_signal != 0 && child.life != Life::ended) {
            PendingSignals::Queued* none = nullptr;
            post_signal(child, child.parent_end_signal, make_info(child.parent_end_signal, SI_USER, &process),
                        none);
        }
        if (child.parent != nullptr) {
            child.exit_signal = SIGCHLD;
            heir->children.push_back(child);
            if (child.life == Life::ended) {
                tell_parent(child, SIGCHLD, told_of(child.status), entry);
            }
        }
    }
}

// The last thread of a process is about to go.
void end_process(Process& process) {
    Ref<fs::DescriptorTable> descriptors;
    Ref<fs::Context> context;
    Ref<memory::AddressSpace> space;
    Ref<RefCounted> undone;
    Image image;
    {
        const SpinGuard guard(tree_lock());
        descriptors = std::exchange(process.descriptors, nullptr);
        context = std::exchange(process.context, nullptr);
        space = std::exchange(process.space, nullptr);
        undone = std::exchange(process.undone_at_end, nullptr);
        std::swap(process.image, image);
    }
    stop_timers(process);
    if (process.session == process.id) {
        fs::end_session(process.session);
    }
    undone = nullptr;
    descriptors = nullptr;
    context = nullptr;
    space = nullptr;
    image = {};
    release_parent(process);
    auto* entry = new (std::nothrow) PendingSignals::Queued;
    Ref<Process> gone;
    bool is_first = false;
    {
        const SpinGuard guard(tree_lock());
        end_tracing(process);
        give_children_away(process, entry);
        process.life = Life::ended;
        process.status = process.end_status;
        is_first = first_process() == &process;
        if (is_first || is_wanted_by_nobody(process)) {
            Process* parent = process.parent;
            gone = remove_child(process);
            if (parent != nullptr) {
                parent->changed.wake_all();
            }
        } else if (process.parent != nullptr) {
            tell_parent(process, process.exit_signal, told_of(process.status), entry);
        } else {
            gone = remove_child(process);
        }
    }
    delete entry;
    if (is_first) {
        first_status.store(process.status, std::memory_order_seq_cst);
        first_has_ended.store(true, std::memory_order_seq_cst);
        first_end.wake_all();
    }
}

}  // namespace

void exit_thread(UserThread& self, int status) {
    Process& process = self.process();
    leave_robust_futexes(self);
    if (self.clear_tid != 0) {
        clear_and_wake(self, UserAddress(self.clear_tid));
    }
    static_cast<void>(trace_event(self, PTRACE_EVENT_EXIT, static_cast<std::uint64_t>(status)));
    bool is_last = false;
    {
        const SpinGuard guard(tree_lock());
        // Of several that end at once, exactly one finds that all have come so far.
        is_last = ++process.leaving_threads == process.live_threads;
        if (is_last && !process.ends) {
            process.ends = true;
            process.end_status = status;
        }
        // As long as it is known whose child it is: the parent may take it away any time after this.
        end_trace(self, process.ends ? process.end_status : status);
    }
    if (is_last) {
        end_process(process);
    }
    {
        const SpinGuard guard(tree_lock());
        --process.leaving_threads;
        static_cast<void>(retire(self));
        if (process.executing != nullptr) {
            process.changed.wake_all();
        }
    }
    // The processor keeps the tables until it needs others.
    arch::leave_user_state();
    self.drop_owner();
    end_thread();
}

void exit_process(UserThread& self, int status) {
    Process& process = self.process();
    {
        const SpinGuard guard(tree_lock());
        if (!process.ends) {
            process.ends = true;
            process.end_status = status;
        }
        for (UserThread& thread : process.threads) {
            if (&thread != &self) {
                thread.add_work(Work::end);
                wake(thread);
            }
        }
    }
    exit_thread(self, status);
}

Outcome<> become_only_thread(UserThread& self) {
    Process& process = self.process();
    {
        const SpinGuard guard(tree_lock());
        if (process.ends || process.executing != nullptr) {
            return fail(Errno::eagain);
        }
        if (process.live_threads == 1) {
            return {};
        }
        process.executing = &self;
        for (UserThread& thread : process.threads) {
            if (&thread != &self) {
                thread.add_work(Work::end);
                wake(thread);
            }
        }
    }
    static_cast<void>(process.changed.wait(Deadline::never("the other threads end at their next step"), [&] {
        const SpinGuard guard(tree_lock());
        return process.live_threads == 1;
    }));
    const SpinGuard guard(tree_lock());
    process.executing = nullptr;
    if (self.id != process.id) {
        take_number(self, process.id);
    }
    return {};
}

namespace {

bool is_chosen(const Process& child, const WaitRequest& request) {
    switch (request.which) {
        case WaitRequest::Which::any:
            return true;
        case WaitRequest::Which::process:
            return child.id == request.id;
        case WaitRequest::Which::group:
            return child.group == request.id;
    }
    return false;
}

bool is_chosen(const UserThread& thread, const WaitRequest& request) {
    switch (request.which) {
        case WaitRequest::Which::any:
            return true;
        case WaitRequest::Which::process:
            return thread.id == request.id;
        case WaitRequest::Which::group:
            return thread.process().group == request.id;
    }
    return false;
}

// Stops of what it traces, and ends it would not hear of as a parent. The tree's lock is held.
bool look_for_tracee(Process& tracer, const WaitRequest& request, WaitResult& result) {
    for (EndNotice& notice : tracer.tracees.ends) {
        if (request.exited && (request.which != WaitRequest::Which::process || notice.id == request.id)) {
            result = {notice.id, notice.status, 0, {}};
            if (!request.keep) {
                tracer.tracees.ends.erase(tracer.tracees.ends.iterator_to(notice));
                delete &notice;
            }
            return true;
        }
    }
    if (tracer.tracees.count == 0) {
        return false;
    }
    bool found = false;
    for_each_process([&](Process& process) {
        for (UserThread& thread : process.threads) {
            Trace& trace = thread.trace;
            if (!found && trace.tracer == &tracer && trace.is_stopped && !trace.is_told &&
                is_chosen(thread, request)) {
                found = true;
                result = {thread.id, trace.code << 8 | 0x7f, process.identity().user, {}};
                trace.is_told = !request.keep;
            }
        }
    });
    return found;
}

// What there is to tell now; `any`: whether there is a child to wait for. The tree's lock is held.
bool look_for_child(Process& parent, const WaitRequest& request, WaitResult& result, bool& any,
                    Ref<Process>& gone) {
    any = parent.tracees.count != 0 || !parent.tracees.ends.empty();
    if (look_for_tracee(parent, request, result)) {
        return true;
    }
    for (Process& child : parent.children) {
        if (!is_chosen(child, request)) {
            continue;
        }
        any = true;
        if (child.life == Life::ended && request.exited) {
            result = {child.id, child.status, child.identity().user, time_of(child) + child.children_time,
                      faults_of(child) + child.children_faults};
            if (!request.keep) {
                parent.children_time = parent.children_time + result.time;
                parent.ended_io = parent.ended_io + io_of(child);
                parent.children_faults += result.faults;
                gone = remove_child(child);
            }
            return true;
        }
        if (!child.threads.empty() && child.threads.front().trace.tracer == &parent) {
            continue;  // its stops are told as those of a traced one
        }
        const bool is_stop = (child.change & 0xff) == 0x7f;
        if (child.change != 0 && (is_stop ? request.stopped : request.continued)) {
            result = {child.id, child.change, child.identity().user, {}};
            if (!request.keep) {
                child.change = 0;
            }
            return true;
        }
    }
    return false;
}

}  // namespace

Outcome<WaitResult> wait_for_child(UserThread& self, const WaitRequest& request) {
    Process& parent = self.process();
    WaitResult result;
    Ref<Process> gone;
    bool any = false;
    bool found = false;
    const auto look = [&] {
        const SpinGuard guard(tree_lock());
        found = look_for_child(parent, request, result, any, gone);
        return found || !any;
    };
    if (request.no_hang) {
        look();
    } else {
        PV_TRY(fs::wait(parent.changed, Deadline::never("a program waits for its child"), look));
    }
    if (!found && !any) {
        return fail(Errno::echild);
    }
    return result;
}

int wait_for_first() {
    static_cast<void>(first_end.wait(Deadline::never("the machine runs until its first program ends"),
                                     [] { return first_has_ended.load(std::memory_order_seq_cst); }));
    return first_status.load(std::memory_order_seq_cst);
}

}  // namespace pv::task
