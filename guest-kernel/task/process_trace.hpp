// ptrace(2): a process that stops threads of others, looks at them and lets them go on.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>

#include "base/errno.hpp"
#include "base/ref.hpp"
#include "task/process_signals.hpp"

namespace pv::task {

class Process;
class UserThread;

enum class TraceStop : std::uint8_t {
    signal,  ///< one was about to be taken
    call_entry,
    call_exit,
    event,  ///< of PTRACE_EVENT_*, or PTRACE_INTERRUPT's
    group,  ///< the whole process is stopped
};

/// The end of a traced thread that its tracer would not hear of as a parent.
struct EndNotice
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    int id = 0;
    int status = 0;  ///< as wait(2)
};

/// A thread's part of being traced. Guarded by the tree's lock; while it is stopped its registers may be read
/// and changed by its tracer.
struct Trace {
    Process* tracer = nullptr;
    std::uint32_t options = 0;  ///< PTRACE_O_*
    bool is_seized = false;
    /// Whether who made it traced had CAP_SYS_PTRACE: what it executes may then have more rights than before.
    bool by_capable = false;
    bool wants_stop = false;  ///< PTRACE_INTERRUPT
    bool is_stopped = false;
    unsigned held = 0;      ///< its tracer looks at it just now: it goes nowhere meanwhile, killed or not
    bool is_told = false;   ///< wait(2) has told of this stop
    bool listens = false;   ///< PTRACE_LISTEN: it stays, and the tracer is told of what comes
    bool has_news = false;  ///< what it would listen for came in this stop, before PTRACE_LISTEN
    TraceStop stop = TraceStop::signal;
    int code = 0;               ///< the signal, and the event << 8
    int signal = 0;             ///< what the tracer lets it go on with
    std::uint64_t message = 0;  ///< PTRACE_GETEVENTMSG
    SignalInfo info{};
    std::unique_ptr<EndNotice> notice;
};

/// How many a process traces, and ends it has not heard of yet.
struct Tracees {
    Tracees() = default;
    Tracees(const Tracees&) = delete;
    Tracees& operator=(const Tracees&) = delete;

    ~Tracees() {
        ends.clear_and_dispose([](EndNotice* notice) { delete notice; });
    }

    boost::intrusive::list<EndNotice, boost::intrusive::constant_time_size<false>> ends;
    unsigned count = 0;
};

enum class TraceResume : std::uint8_t { go_on, to_call, one_step, listen };

// For the tracer. Errors are those of ptrace(2).

[[nodiscard]] Outcome<> trace_me(UserThread& self);
/// `seize`: PTRACE_SEIZE with `options`; else PTRACE_ATTACH, with a SIGSTOP.
[[nodiscard]] Outcome<> attach(UserThread& self, int id, bool seize, std::uint32_t options);

/// A traced thread that is stopped and stays where it is as long as this lives, even when it is killed or let
/// go on: its registers and its stack are there.
class HeldTracee {
  public:
    explicit HeldTracee(Ref<UserThread> thread);
    HeldTracee(HeldTracee&&) noexcept = default;
    HeldTracee& operator=(HeldTracee&&) = delete;
    HeldTracee(const HeldTracee&) = delete;
    HeldTracee& operator=(const HeldTracee&) = delete;
    ~HeldTracee();

    [[nodiscard]] UserThread& operator*() const;

  private:
    Ref<UserThread> thread_;
};

/// The stopped thread with that number that `tracer` traces. Error: esrch.
[[nodiscard]] Outcome<HeldTracee> stopped_tracee(Process& tracer, int id);
[[nodiscard]] Outcome<> resume(UserThread& tracee, TraceResume how, int signal);
[[nodiscard]] Outcome<> detach(UserThread& tracee, int signal);
[[nodiscard]] Outcome<> interrupt(Process& tracer, int id);

// For the traced thread itself, with no lock held; they return when it goes on.

/// Returns the signal to take instead, 0 for none; `info` may be another one then.
[[nodiscard]] int trace_signal(UserThread& self, int signal, SignalInfo& info);
void trace_call(UserThread& self, bool is_entry);
/// Whether it has been told to end meanwhile.
[[nodiscard]] bool must_end(const UserThread& self);
/// A stop of `event` (PTRACE_EVENT_*) where its tracer asked for it. False where nobody did.
bool trace_event(UserThread& self, int event, std::uint64_t message);
void trace_exec(UserThread& self, int former_id);
/// PTRACE_INTERRUPT, or the beginning of a thread traced from its first instruction.
void trace_interruption(UserThread& self);
/// The process is stopped by `signal`. True: the tracer lets this thread go on all the same.
bool trace_group_stop(UserThread& self, int signal);

// With the tree's lock held.

/// A child of a traced thread is traced as well where its tracer asked for `event`. `notice`: room for its
/// end.
void inherit_trace(UserThread& parent, UserThread& child, int event, std::unique_ptr<EndNotice>& notice);
/// One that PTRACE_LISTEN left stopped stops anew, for its tracer to hear of what came; one that is stopped
/// and not left so yet, as soon as it is.
void end_listening(UserThread& thread);
/// A thread ends with `status`.
void end_trace(UserThread& thread, int status);
/// A process ends: those it traced go on by themselves.
void end_tracing(Process& tracer);

}  // namespace pv::task
