// Signals: sending them, and what is done about one.
// SPDX-License-Identifier: MIT
#include <sys/resource.h>

#include <new>
#include <utility>

#include "base/log.hpp"
#include "fs/message_trace.hpp"
#include "task/process_frame.hpp"
#include "task/process_tree.hpp"

namespace pv::task {
namespace {

constexpr SignalSet faults = SignalSet{1} << (SIGSEGV - 1) | SignalSet{1} << (SIGBUS - 1) |
                             SignalSet{1} << (SIGILL - 1) | SignalSet{1} << (SIGTRAP - 1) |
                             SignalSet{1} << (SIGFPE - 1) | SignalSet{1} << (SIGSYS - 1);
constexpr SignalSet stops = SignalSet{1} << (SIGSTOP - 1) | SignalSet{1} << (SIGTSTP - 1) |
                            SignalSet{1} << (SIGTTIN - 1) | SignalSet{1} << (SIGTTOU - 1);
constexpr std::uint64_t handler_default = 0;
constexpr std::uint64_t handler_ignore = 1;

bool is_ignored(const Process& process, int signal) {
    const SignalAction& action = (*process.actions)[signal];
    return action.handler == handler_ignore ||
           (action.handler == handler_default && default_action(signal) == DefaultAction::ignore);
}

bool blocks(const UserThread& thread, int signal) {
    return (thread.blocked.load(std::memory_order_relaxed) & bit_of(signal)) != 0;
}

void go_on(Process& process) {
    if (process.life == Life::stopped) {
        process.life = Life::running;
        process.change = 0xffff;
        if (process.parent != nullptr) {
            process.parent->changed.wake_all();
        }
    }
    for (UserThread& thread : process.threads) {
        thread.remove_work(Work::stop);
        end_listening(thread);
        wake(thread);
    }
}

// Stops and continuing undo each other. False when nothing is left to be made pending.
bool prepare(Process& process, int signal) {
    if (process.life == Life::ended) {
        return false;
    }
    if (signal == SIGCONT || signal == SIGKILL) {
        go_on(process);
    }
    if (signal == SIGCONT) {
        process.pending.forget(stops);
        for (UserThread& thread : process.threads) {
            thread.pending.forget(stops);
        }
    } else if ((bit_of(signal) & stops) != 0) {
        process.pending.forget(bit_of(SIGCONT));
    }
    return true;
}

void notify(UserThread& thread) {
    thread.add_work(Work::signal);
    wake(thread);
}

// Who sent a signal: what a program says of itself in its information counts for nothing.
ProcessId sender_of(int signal, const SignalInfo& info) {
    if (signal == SIGCHLD && info.si_code > 0 && info.si_code != SI_KERNEL) {
        return info.si_pid;
    }
    const UserThread* const self = UserThread::current_or_null();
    return info.si_code > 0 || info.si_code == SI_TIMER || self == nullptr ? 0 : self->process().id;
}

void trace_sent(const Process& to, int signal, const SignalInfo& info) {
    if (fs::is_tracing_messages()) {
        fs::trace_message({.channel = fs::Channel::signal,
                           .process = sender_of(signal, info),
                           .peer = to.id,
                           .object = static_cast<std::uint64_t>(signal),
                           .amount = 1});
    }
}

// Whoever reads signals as files.
void tell_readers(Process& process) {
    process.signal_queue.wake_all();
    process.signal_watchers.notify(fs::poll_event::readable);
}

}  // namespace

void PendingSignals::add(int signal, Queued* entry, Queued*& unused) {
    const bool is_there = (set_.load(std::memory_order_seq_cst) & bit_of(signal)) != 0;
    set_.fetch_or(bit_of(signal), std::memory_order_seq_cst);
    if (entry == nullptr || (is_there && signal < first_real_time_signal)) {
        unused = entry;
        return;
    }
    queue_.push_back(*entry);
    ++count_;
    unused = nullptr;
}

int PendingSignals::take(SignalSet wanted, SignalInfo& info) {
    SignalSet ready = set_.load(std::memory_order_seq_cst) & wanted;
    if (ready == 0) {
        return 0;
    }
    ready = (ready & faults) != 0 ? ready & faults : ready;
    const int signal = __builtin_ctzll(ready) + 1;
    info = make_info(signal, SI_USER, nullptr);
    bool more = false;
    Queued* found = nullptr;
    for (Queued& entry : queue_) {
        if (entry.info.si_signo == signal) {
            more = found != nullptr;
            if (more) {
                break;
            }
            found = &entry;
        }
    }
    if (found != nullptr) {
        info = found->info;
        queue_.erase(queue_.iterator_to(*found));
        --count_;
        delete found;
    }
    if (!more) {
        set_.fetch_and(~bit_of(signal), std::memory_order_seq_cst);
    }
    return signal;
}

void PendingSignals::forget(SignalSet which) {
    set_.fetch_and(~which, std::memory_order_seq_cst);
    queue_.remove_and_dispose_if(
        [&](const Queued& entry) { return (bit_of(entry.info.si_signo) & which) != 0; },
        [&](Queued* entry) {
            --count_;
            delete entry;
        });
}

bool PendingSignals::add_overrun(int id, int turns) {
    for (Queued& entry : queue_) {
        if (entry.info.si_code == SI_TIMER && entry.info.si_timerid == id) {
            entry.info.si_overrun += turns;
            return true;
        }
    }
    return false;
}

DefaultAction default_action(int signal) {
    switch (signal) {
        case SIGCHLD:
        case SIGURG:
        case SIGWINCH:
            return DefaultAction::ignore;
        case SIGCONT:
            return DefaultAction::go_on;
        case SIGSTOP:
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
            return DefaultAction::stop;
        case SIGQUIT:
        case SIGILL:
        case SIGTRAP:
        case SIGABRT:
        case SIGBUS:
        case SIGFPE:
        case SIGSEGV:
        case SIGXCPU:
        case SIGXFSZ:
        case SIGSYS:
            return DefaultAction::end_with_core;
        default:
            return DefaultAction::end;
    }
}

SignalInfo make_info(int signal, int code, const Process* from) {
    SignalInfo info{};
    info.si_signo = signal;
    info.si_code = code;
    if (from != nullptr) {
        info.si_pid = from->id;
        info.si_uid = from->identity().user;
    }
    return info;
}

SignalInfo make_info(int signal, int code, const UserThread& from) {
    SignalInfo info = make_info(signal, code, nullptr);
    info.si_pid = from.process().id;
    info.si_uid = from.identity.user;
    return info;
}

int take_signal(UserThread& self, SignalSet wanted, SignalInfo& info) {
    int signal = self.pending.take(wanted, info);
    if (signal == 0) {
        signal = self.process().pending.take(wanted, info);
    }
    if (signal != 0 && fs::is_tracing_messages()) {
        fs::trace_message({.channel = fs::Channel::signal,
                           .is_received = true,
                           .process = self.process().id,
                           .object = static_cast<std::uint64_t>(signal),
                           .amount = 1});
    }
    return signal;
}

void post_signal(Process& process, int signal, const SignalInfo& info, PendingSignals::Queued*& entry) {
    if (!prepare(process, signal)) {
        return;
    }
    UserThread* taker = nullptr;
    for (UserThread& thread : process.threads) {
        if (!blocks(thread, signal)) {
            taker = &thread;
            break;
        }
    }
    if (taker != nullptr && is_ignored(process, signal) && taker->trace.tracer == nullptr) {
        return;
    }
    if (entry != nullptr) {
        entry->info = info;
    }
    trace_sent(process, signal, info);
    process.pending.add(signal, entry, entry);
    tell_readers(process);
    if (taker != nullptr) {
        notify(*taker);
    }
}

void post_signal(UserThread& thread, int signal, const SignalInfo& info, PendingSignals::Queued*& entry) {
    Process& process = thread.process();
    if (!prepare(process, signal) ||
        (!blocks(thread, signal) && is_ignored(process, signal) && thread.trace.tracer == nullptr)) {
        return;
    }
    if (entry != nullptr) {
        entry->info = info;
    }
    trace_sent(process, signal, info);
    thread.pending.add(signal, entry, entry);
    tell_readers(process);
    if (!blocks(thread, signal)) {
        notify(thread);
    }
}

namespace {

template <class Receiver>
void send(Receiver& receiver, int signal, const SignalInfo& info) {
    if (signal == 0) {
        return;
    }
    auto* entry = new (std::nothrow) PendingSignals::Queued;
    {
        const SpinGuard guard(tree_lock());
        post_signal(receiver, signal, info, entry);
    }
    delete entry;
}

}  // namespace

void send_signal(Process& process, int signal, const SignalInfo& info) {
    send(process, signal, info);
}

void send_signal(UserThread& thread, int signal, const SignalInfo& info) {
    send(thread, signal, info);
}

bool send_group_signal(ProcessId group, int signal, const SignalInfo& info) {
    // One at a time, so that memory for each is there before the lock is taken.
    bool any = false;
    ProcessId last = 0;
    while (true) {
        auto* entry = new (std::nothrow) PendingSignals::Queued;
        bool found = false;
        {
            const SpinGuard guard(tree_lock());
            for_each_process([&](Process& process) {
                if (!found && process.id > last && process.group == group) {
                    found = true;
                    last = process.id;
                    if (signal != 0) {
                        post_signal(process, signal, info, entry);
                    }
                }
            });
        }
        delete entry;
        if (!found) {
            return any;
        }
        any = true;
    }
}

void force_signal(UserThread& self, int signal, int code, std::uint64_t address) {
    SignalInfo info = make_info(signal, code, nullptr);
    info.si_addr = reinterpret_cast<void*>(address);
    auto* entry = new (std::nothrow) PendingSignals::Queued;
    {
        const SpinGuard guard(tree_lock());
        SignalAction& action = (*self.process().actions)[signal];
        if (blocks(self, signal) || action.handler == handler_ignore) {
            // It cannot go on, and cannot be told: the default happens.
            action = {};
            self.blocked.fetch_and(~bit_of(signal), std::memory_order_relaxed);
        }
        post_signal(self, signal, info, entry);
    }
    delete entry;
}

bool is_interrupted() {
    const UserThread* self = UserThread::current_or_null();
    return self != nullptr && self->has_work();
}

bool is_killed() {
    const UserThread* self = UserThread::current_or_null();
    if (self == nullptr || !self->has_work()) {
        return false;
    }
    const SpinGuard guard(tree_lock());
    const SignalSet pending = self->pending.set() | self->process().pending.set();
    return self->process().ends || (pending & bit_of(SIGKILL)) != 0;
}

std::uint64_t file_size_limit() {
    const UserThread* self = UserThread::current_or_null();
    return self == nullptr ? ~0ULL : self->process().limits[RLIMIT_FSIZE].soft;
}

void tell_file_too_large() {
    UserThread& self = UserThread::current();
    send_signal(self, SIGXFSZ, make_info(SIGXFSZ, SI_USER, self));
}

void recheck_signals(UserThread& thread) {
    const SignalSet pending = thread.pending.set() | thread.process().pending.set();
    if ((pending & ~thread.blocked.load(std::memory_order_relaxed)) != 0) {
        notify(thread);
    }
}

void set_blocked(UserThread& self, SignalSet blocked) {
    const SpinGuard guard(tree_lock());
    self.blocked.store(blocked & ~unstoppable, std::memory_order_relaxed);
    recheck_signals(self);
    // What this thread no longer takes, another one may.
    const SignalSet left = self.process().pending.set() & blocked;
    for (UserThread& other : self.process().threads) {
        if (left != 0 && &other != &self && (left & ~other.blocked.load(std::memory_order_relaxed)) != 0) {
            notify(other);
        }
    }
}

namespace {

// Stays here while the process is stopped.
void stay_stopped(UserThread& self) {
    if (trace_group_stop(self, self.process().stop_signal)) {
        const SpinGuard guard(tree_lock());
        if (!self.trace.listens) {
            self.remove_work(Work::stop);
        }
        return;
    }
    const auto goes_on = [&] {
        return (self.work.load(std::memory_order_seq_cst) & static_cast<std::uint32_t>(Work::stop)) == 0 ||
               (self.work.load(std::memory_order_seq_cst) & static_cast<std::uint32_t>(Work::end)) != 0;
    };
    WaitQueue nobody;
    static_cast<void>(nobody.wait(Deadline::never("a stopped process waits for SIGCONT"), goes_on));
}

void stop_process(Process& process, int signal) {
    auto* entry = new (std::nothrow) PendingSignals::Queued;
    {
        const SpinGuard guard(tree_lock());
        process.life = Life::stopped;
        process.change = signal << 8 | 0x7f;
        process.stop_signal = signal;
        for (UserThread& thread : process.threads) {
            thread.add_work(Work::stop);
            wake(thread);
        }
        if (process.parent != nullptr) {
            if (((*process.parent->actions)[SIGCHLD].flags & SA_NOCLDSTOP) == 0) {
                SignalInfo info = make_info(SIGCHLD, CLD_STOPPED, &process);
                info.si_status = signal;
                post_signal(*process.parent, SIGCHLD, info, entry);
            }
            process.parent->changed.wake_all();
        }
    }
    delete entry;
}

[[noreturn]] void end_by(UserThread& self, int signal, bool with_core, const SignalInfo& info) {
    Process& process = self.process();
    if ((bit_of(signal) & faults) != 0) {
        const arch::TrapFrame& frame = arch::user_frame();
        log::warning("{}[{}]: ended by signal {} at {:#x}, stack {:#x}, address {:#x}",
                     std::string_view(self.name.data()), process.id, signal, frame.rip, frame.rsp,
                     reinterpret_cast<std::uintptr_t>(info.si_addr));
    }
    // No core is written; the bit says that one would have been, as with a limit of 0 it does not.
    static_cast<void>(with_core);
    exit_process(self, signal);
}

// A call that was interrupted begins again: SYSCALL is two bytes long.
void restart_call(arch::TrapFrame& frame) {
    frame.rip -= 2;
    frame.rax = frame.error_code;
}

}  // namespace

void deliver_signals(UserThread& self) {
    Process& process = self.process();
    arch::TrapFrame& frame = arch::user_frame();
    while (true) {
        if ((self.work.load(std::memory_order_seq_cst) & static_cast<std::uint32_t>(Work::end)) != 0) {
            exit_thread(self, 0);
        }
        trace_interruption(self);
        if ((self.work.load(std::memory_order_seq_cst) & static_cast<std::uint32_t>(Work::stop)) != 0) {
            stay_stopped(self);
            continue;
        }
        SignalInfo info{};
        SignalAction action;
        int signal = 0;
        bool is_over = false;
        {
            const SpinGuard guard(tree_lock());
            const SignalSet wanted = ~self.blocked.load(std::memory_order_relaxed);
            signal = take_signal(self, wanted, info);
            // What a tracer asked for since we looked above is looked at again.
            is_over = signal == 0 && !self.trace.wants_stop;
            if (is_over) {
                self.remove_work(Work::signal);
            }
        }
        if (is_over) {
            break;
        }
        if (signal == 0) {
            continue;
        }
        signal = trace_signal(self, signal, info);
        if (signal == 0) {
            continue;
        }
        {
            const SpinGuard guard(tree_lock());
            SignalAction& kept = (*process.actions)[signal];
            action = kept;
            if ((kept.flags & SA_RESETHAND) != 0 && kept.handler > handler_ignore) {
                kept.handler = handler_default;
            }
        }
        if (action.handler > handler_ignore) {
            if (std::exchange(self.interrupted, Interrupted::no) == Interrupted::as_handler_says &&
                (action.flags & SA_RESTART) != 0) {
                restart_call(frame);
            }
            const SignalSet before = std::exchange(self.has_saved_blocked, false)
                                         ? self.saved_blocked
                                         : self.blocked.load(std::memory_order_relaxed);
            if (!build_signal_frame(self, signal, info, action, before)) {
                force_signal(self, SIGSEGV, SI_KERNEL, 0);
                if (signal == SIGSEGV) {
                    end_by(self, SIGSEGV, true, info);
                }
                continue;
            }
            SignalSet during = self.blocked.load(std::memory_order_relaxed) | action.mask;
            during |= (action.flags & SA_NODEFER) != 0 ? 0 : bit_of(signal);
            set_blocked(self, during);
            continue;
        }
        if (action.handler == handler_ignore) {
            continue;
        }
        switch (default_action(signal)) {
            case DefaultAction::ignore:
            case DefaultAction::go_on:
                break;
            case DefaultAction::stop:
                stop_process(process, signal);
                break;
            case DefaultAction::end:
                end_by(self, signal, false, info);
            case DefaultAction::end_with_core:
                end_by(self, signal, true, info);
        }
    }
    if (std::exchange(self.interrupted, Interrupted::no) >= Interrupted::unless_handled) {
        self.resumes_at = frame.rip;
        restart_call(frame);
    }
    if (std::exchange(self.has_saved_blocked, false)) {
        set_blocked(self, self.saved_blocked);
    }
}

}  // namespace pv::task
