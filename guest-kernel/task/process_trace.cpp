// ptrace(2): stops, and what ends them.
// SPDX-License-Identifier: MIT
#include "task/process_trace.hpp"

#include <sys/ptrace.h>

#include <new>
#include <utility>

#include "task/control_block.hpp"
#include "task/process_tree.hpp"

namespace pv::task {
namespace {

constexpr std::uint32_t known_options =
    PTRACE_O_MASK & ~std::uint32_t{PTRACE_O_TRACESECCOMP | PTRACE_O_SUSPEND_SECCOMP};
constexpr std::uint64_t flag_trap = 0x100;
constexpr int good_call = 0x80;  ///< PTRACE_O_TRACESYSGOOD

arch::TrapFrame& frame_of(UserThread& stopped) {
    return *reinterpret_cast<arch::TrapFrame*>(stopped.control->stack.top - sizeof(arch::TrapFrame));
}

// The tree's lock is held in all of these.

bool is_dying(const UserThread& self) {
    constexpr SignalSet kill = bit_of(SIGKILL);
    return (self.work.load(std::memory_order_seq_cst) & static_cast<std::uint32_t>(Work::end)) != 0 ||
           ((self.pending.set() | self.process().pending.set()) & kill) != 0;
}

void begin_trace(UserThread& thread, Process& tracer, bool seize, bool by_capable, std::uint32_t options,
                 std::unique_ptr<EndNotice>& notice) {
    thread.trace = Trace{};
    thread.trace.tracer = &tracer;
    thread.trace.is_seized = seize;
    thread.trace.by_capable = by_capable;
    thread.trace.options = options;
    thread.trace.notice = std::move(notice);
    ++tracer.tracees.count;
}

void forget(UserThread& thread) {
    --thread.trace.tracer->tracees.count;
    thread.trace.tracer = nullptr;
    thread.trace.wants_stop = false;
    thread.watches_calls.fetch_and(static_cast<std::uint8_t>(~call_watch::traced), std::memory_order_seq_cst);
}

void go_on(UserThread& thread) {
    thread.trace.is_stopped = false;
    wake(thread);
}

// One that is stopped already does so when it goes on.
void stop_soon(UserThread& thread) {
    thread.trace.wants_stop = true;
    thread.add_work(Work::signal);
    wake(thread);
}

void set_step(UserThread& stopped, bool on) {
    arch::TrapFrame& frame = frame_of(stopped);
    frame.rflags = on ? frame.rflags | flag_trap : frame.rflags & ~flag_trap;
}

// The traced thread stops here until its tracer lets it go on, or it is killed. No lock is held.
void stop_here(UserThread& self, TraceStop stop, int code, const SignalInfo* info, std::uint64_t message) {
    auto* entry = new (std::nothrow) PendingSignals::Queued;
    arch::hold_registers(self);
    Trace& trace = self.trace;
    {
        const SpinGuard guard(tree_lock());
        if (trace.tracer != nullptr && !is_dying(self)) {
            trace.is_stopped = true;
            trace.is_told = trace.listens = trace.has_news = trace.wants_stop = false;
            trace.stop = stop;
            trace.code = code;
            trace.signal = 0;
            trace.message = message;
            trace.info = info != nullptr ? *info : make_info(code & 0x7f, SI_KERNEL, nullptr);
            if (info == nullptr) {
                trace.info.si_code = code;
            }
            if (((*trace.tracer->actions)[SIGCHLD].flags & SA_NOCLDSTOP) == 0) {
                SignalInfo told = make_info(SIGCHLD, CLD_TRAPPED, &self.process());
                told.si_pid = self.id;
                told.si_status = code & 0x7f;
                post_signal(*trace.tracer, SIGCHLD, told, entry);
            }
            trace.tracer->changed.wake_all();
        }
    }
    delete entry;
    WaitQueue nobody;
    static_cast<void>(nobody.wait(Deadline::never("a traced program waits for its tracer"), [&] {
        const SpinGuard guard(tree_lock());
        if (is_dying(self)) {
            trace.is_stopped = false;
        }
        return !trace.is_stopped && trace.held == 0;
    }));
    arch::release_registers(self);
}

bool is_traced(UserThread& self) {
    const SpinGuard guard(tree_lock());
    return self.trace.tracer != nullptr;
}

}  // namespace

Outcome<> trace_me(UserThread& self) {
    std::unique_ptr<EndNotice> notice(new (std::nothrow) EndNotice);
    if (notice == nullptr) {
        return fail(Errno::enomem);
    }
    const SpinGuard guard(tree_lock());
    Process* parent = self.process().parent;
    if (self.trace.tracer != nullptr || parent == nullptr) {
        return fail(Errno::eperm);
    }
    begin_trace(self, *parent, false, self.identity.has(Capability::sys_ptrace), 0, notice);
    return {};
}

Outcome<> attach(UserThread& self, int id, bool seize, std::uint32_t options) {
    if ((options & ~known_options) != 0) {
        return fail(Errno::eio);
    }
    std::unique_ptr<EndNotice> notice(new (std::nothrow) EndNotice);
    if (notice == nullptr) {
        return fail(Errno::enomem);
    }
    PendingSignals::Queued* nothing = nullptr;
    const SpinGuard guard(tree_lock());
    UserThread* thread = find_thread(id);
    if (thread == nullptr) {
        return fail(Errno::esrch);
    }
    if (&self.process() == &thread->process() || !may_look_into(self, *thread, Identity::By::real) ||
        thread->trace.tracer != nullptr || thread->process().ends) {
        return fail(Errno::eperm);
    }
    begin_trace(*thread, self.process(), seize, self.identity.has(Capability::sys_ptrace), options, notice);
    if (!seize) {
        post_signal(*thread, SIGSTOP, make_info(SIGSTOP, SI_USER, self), nothing);
    }
    return {};
}

HeldTracee::HeldTracee(Ref<UserThread> thread) : thread_(std::move(thread)) {}

HeldTracee::~HeldTracee() {
    if (thread_ != nullptr) {
        const SpinGuard guard(tree_lock());
        --thread_->trace.held;
        wake(*thread_);
    }
}

UserThread& HeldTracee::operator*() const {
    return *thread_;
}

Outcome<HeldTracee> stopped_tracee(Process& tracer, int id) {
    const SpinGuard guard(tree_lock());
    UserThread* thread = find_thread(id);
    if (thread == nullptr || thread->trace.tracer != &tracer || !thread->trace.is_stopped ||
        thread->trace.listens || thread->control == nullptr) {
        return fail(Errno::esrch);
    }
    ++thread->trace.held;
    return HeldTracee(Ref<UserThread>(*thread));
}

Outcome<> resume(UserThread& tracee, TraceResume how, int signal) {
    if (signal < 0 || signal > signal_count) {
        return fail(Errno::eio);
    }
    const SpinGuard guard(tree_lock());
    Trace& trace = tracee.trace;
    if (!trace.is_stopped || tracee.control == nullptr) {
        return fail(Errno::esrch);
    }
    if (how == TraceResume::listen) {
        if (!trace.is_seized || trace.code >> 8 != PTRACE_EVENT_STOP) {
            return fail(Errno::eio);
        }
        trace.listens = true;
        if (trace.has_news) {
            end_listening(tracee);
            return {};
        }
        if (trace.stop == TraceStop::group) {
            return {};
        }
    }
    trace.signal = signal;
    if (how == TraceResume::to_call) {
        tracee.watches_calls.fetch_or(call_watch::traced, std::memory_order_seq_cst);
    } else {
        tracee.watches_calls.fetch_and(static_cast<std::uint8_t>(~call_watch::traced),
                                       std::memory_order_seq_cst);
    }
    set_step(tracee, how == TraceResume::one_step);
    go_on(tracee);
    return {};
}

Outcome<> detach(UserThread& tracee, int signal) {
    if (signal < 0 || signal > signal_count) {
        return fail(Errno::eio);
    }
    std::unique_ptr<EndNotice> notice;
    const SpinGuard guard(tree_lock());
    if (tracee.trace.tracer == nullptr || tracee.control == nullptr) {
        return fail(Errno::esrch);
    }
    tracee.trace.signal = signal;
    notice = std::move(tracee.trace.notice);
    set_step(tracee, false);
    forget(tracee);
    go_on(tracee);
    return {};
}

Outcome<> interrupt(Process& tracer, int id) {
    const SpinGuard guard(tree_lock());
    UserThread* thread = find_thread(id);
    if (thread == nullptr || thread->trace.tracer != &tracer) {
        return fail(Errno::esrch);
    }
    if (!thread->trace.is_seized) {
        return fail(Errno::eio);
    }
    if (thread->trace.listens) {
        end_listening(*thread);
    } else {
        stop_soon(*thread);
    }
    return {};
}

int trace_signal(UserThread& self, int signal, SignalInfo& info) {
    if (signal == SIGKILL || !is_traced(self)) {
        return signal;
    }
    stop_here(self, TraceStop::signal, signal, &info, 0);
    const SpinGuard guard(tree_lock());
    const int chosen = std::exchange(self.trace.signal, 0);
    if (chosen == signal) {
        info = self.trace.info;
    } else if (chosen != 0) {
        info = make_info(chosen, SI_USER, self.trace.tracer);
    }
    return chosen;
}

void trace_call(UserThread& self, bool is_entry) {
    int code = SIGTRAP;
    {
        const SpinGuard guard(tree_lock());
        code |= (self.trace.options & PTRACE_O_TRACESYSGOOD) != 0 ? good_call : 0;
    }
    stop_here(self, is_entry ? TraceStop::call_entry : TraceStop::call_exit, code, nullptr, 0);
    // What the tracer gives a call to go on with is sent.
    int signal = 0;
    {
        const SpinGuard guard(tree_lock());
        signal = std::exchange(self.trace.signal, 0);
    }
    if (signal != 0) {
        send_signal(self, signal, make_info(signal, SI_USER, nullptr));
    }
}

bool must_end(const UserThread& self) {
    return (self.work.load(std::memory_order_seq_cst) & static_cast<std::uint32_t>(Work::end)) != 0;
}

bool trace_event(UserThread& self, int event, std::uint64_t message) {
    {
        const SpinGuard guard(tree_lock());
        if (self.trace.tracer == nullptr || (self.trace.options >> event & 1) == 0) {
            return false;
        }
    }
    stop_here(self, TraceStop::event, SIGTRAP | event << 8, nullptr, message);
    return true;
}

void trace_exec(UserThread& self, int former_id) {
    if (!is_traced(self) || trace_event(self, PTRACE_EVENT_EXEC, static_cast<std::uint64_t>(former_id)) ||
        self.trace.is_seized) {
        return;
    }
    send_signal(self, SIGTRAP, make_info(SIGTRAP, SI_USER, self));
}

void trace_interruption(UserThread& self) {
    {
        const SpinGuard guard(tree_lock());
        if (self.trace.tracer == nullptr || !std::exchange(self.trace.wants_stop, false)) {
            return;
        }
    }
    stop_here(self, TraceStop::event, SIGTRAP | PTRACE_EVENT_STOP << 8, nullptr, 0);
}

bool trace_group_stop(UserThread& self, int signal) {
    bool is_seized = false;
    {
        const SpinGuard guard(tree_lock());
        if (self.trace.tracer == nullptr || self.trace.listens) {
            return false;
        }
        is_seized = self.trace.is_seized;
    }
    stop_here(self, TraceStop::group, is_seized ? signal | PTRACE_EVENT_STOP << 8 : signal, nullptr, 0);
    return true;
}

void inherit_trace(UserThread& parent, UserThread& child, int event, std::unique_ptr<EndNotice>& notice) {
    const Trace& trace = parent.trace;
    if (trace.tracer == nullptr || (trace.options >> event & 1) == 0 || notice == nullptr) {
        return;
    }
    begin_trace(child, *trace.tracer, trace.is_seized, trace.by_capable, trace.options, notice);
    if (trace.is_seized) {
        child.trace.wants_stop = true;
    } else {
        PendingSignals::Queued* nothing = nullptr;
        child.pending.add(SIGSTOP, nullptr, nothing);
    }
    child.add_work(Work::signal);
}

void end_listening(UserThread& thread) {
    if (std::exchange(thread.trace.listens, false)) {
        thread.trace.is_stopped = false;
        stop_soon(thread);
    } else {
        thread.trace.has_news = thread.trace.is_stopped;
    }
}

void end_trace(UserThread& thread, int status) {
    Process* tracer = thread.trace.tracer;
    if (tracer == nullptr) {
        return;
    }
    // As a parent it hears of the process's end anyway.
    const bool is_parent = thread.id == thread.process().id && tracer == thread.process().parent;
    if (!is_parent && thread.trace.notice != nullptr) {
        EndNotice& notice = *thread.trace.notice.release();
        notice.id = thread.id;
        notice.status = status;
        tracer->tracees.ends.push_back(notice);
    }
    forget(thread);
    tracer->changed.wake_all();
}

void end_tracing(Process& tracer) {
    if (tracer.tracees.count != 0) {
        for_each_process([&](Process& process) {
            for (UserThread& thread : process.threads) {
                if (thread.trace.tracer != &tracer) {
                    continue;
                }
                if ((thread.trace.options & PTRACE_O_EXITKILL) != 0) {
                    PendingSignals::Queued* nothing = nullptr;
                    post_signal(process, SIGKILL, make_info(SIGKILL, SI_KERNEL, nullptr), nothing);
                }
                forget(thread);
                go_on(thread);
            }
        });
    }
}

}  // namespace pv::task
