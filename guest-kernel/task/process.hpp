// Processes and their threads: the tree of them, birth, end and waiting for it.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <string_view>

#include "arch/processor.hpp"
#include "arch/x86_64/user_mode.hpp"
#include "base/atomic.hpp"
#include "base/cpu_time.hpp"
#include "base/errno.hpp"
#include "base/io_counts.hpp"
#include "base/ref.hpp"
#include "base/vector.hpp"
#include "fs/descriptor_table.hpp"
#include "fs/path.hpp"
#include "memory/address_space.hpp"
#include "task/identity.hpp"
#include "task/process_signals.hpp"
#include "task/process_timer.hpp"
#include "task/process_trace.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::task {

using ProcessId = int;

class Process;
struct ThreadLink;
struct ThreadId;
struct ChildLink;
struct ProcessIdLink;
template <class Tag>
using ListLink = boost::intrusive::list_base_hook<boost::intrusive::tag<Tag>,
                                                  boost::intrusive::link_mode<boost::intrusive::normal_link>>;
template <class Tag>
using SetLink = boost::intrusive::set_base_hook<boost::intrusive::tag<Tag>,
                                                boost::intrusive::link_mode<boost::intrusive::normal_link>>;

/// One soft and hard limit; ~0: none.
struct Limit {
    std::uint64_t soft = ~0ULL;
    std::uint64_t hard = ~0ULL;
};

/// How a program's thread is scheduled (sched(7)).
struct Scheduling {
    int policy = 0;     ///< SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO or SCHED_RR
    int real_time = 0;  ///< 1 to real_time_max with the last two, 0 with others
    int nice = 0;       ///< -20 to 19; of no effect with the last two
    bool resets_on_fork = false;

    [[nodiscard]] bool is_real_time() const { return real_time != 0; }

    /// A new thread's, of one like this.
    [[nodiscard]] Scheduling inherited() const;
    [[nodiscard]] Priority priority() const;
    /// Among threads of its priority, while others wait; Duration::max(): until it waits itself.
    [[nodiscard]] Duration turn() const;
};

/// What a process executes, for /proc.
struct Image {
    struct Range {
        UserAddress begin{};
        UserAddress end{};
    };

    Ref<fs::OpenFile> file;
    Range arguments;
    Range environment;
    Range auxiliary;
};

/// Whether a call ended with EINTR, and when it begins again then (signal(7)).
enum class Interrupted : std::uint8_t {
    no,
    stays,            ///< never
    unless_handled,   ///< where no handler runs: the program was only stopped
    as_handler_says,  ///< the same, and where the handler has SA_RESTART
};

/// What a thread has to do before it sees user mode again; bits of UserThread::work.
enum class Work : std::uint32_t {
    signal = 1,  ///< one may be pending that is not blocked
    end = 2,     ///< the whole process ends, or another thread of it executes a program
    stop = 4,    ///< the process is stopped
};

/// What a thread's calls may have to do with, besides being carried out.
namespace call_watch {

inline constexpr std::uint8_t traced = 1;  ///< it stops before and after each (ptrace)
inline constexpr std::uint8_t confined =
    2;  ///< few are left, any other one ends it (seccomp); never taken back

}  // namespace call_watch

/// A thread of a program. Owned by its process's list while it lives, and by its own run.
class UserThread final : public RefCounted,
                         public arch::UserState,
                         public ListLink<ThreadLink>,
                         public SetLink<ThreadId> {
  public:
    explicit UserThread(Process& process) : process_(process) {}

    [[nodiscard]] Process& process() const { return *process_; }

    /// The thread that runs. Only in a program's thread.
    [[nodiscard]] static UserThread& current();
    /// nullptr where a thread of the kernel's own runs.
    [[nodiscard]] static UserThread* current_or_null();

    ProcessId id = 0;
    ControlBlock* control = nullptr;  ///< guarded by the tree's lock for others; nullptr once it ends
    Atomic<std::uint32_t> work{0};
    Atomic<std::uint8_t> watches_calls{0};  ///< what happens at each call: bits of call_watch
    Trace trace;                            ///< guarded by the tree's lock

    // The thread's own, but where others send signals: then under the tree's lock.
    Atomic<SignalSet> blocked{0};
    PendingSignals pending;

    IoAccount io;                     ///< added to by the thread alone
    Atomic<std::uint64_t> faults{0};  ///< page faults that were resolved; the same
    Identity identity;  ///< changed by the thread alone (change_identity); others look under the tree's lock

    // The thread's own.
    SignalSet saved_blocked = 0;  ///< restored after the next signal's frame is built (sigsuspend, ppoll)
    bool has_saved_blocked = false;
    Interrupted interrupted = Interrupted::no;  ///< how its call ended
    std::uint64_t resumes_at = 0;               ///< where a sleep that begins again was called from
    Instant resumes_until;                      ///< and how long it lasts
    std::uint64_t stack_base = 0;               ///< the alternate signal stack
    std::uint64_t stack_size = 0;
    std::uint32_t stack_flags = 2;  ///< SS_DISABLE
    std::uint64_t clear_tid = 0;    ///< zeroed and woken at the end (set_tid_address)
    std::uint64_t robust_list = 0;
    std::array<char, 16> name{};               ///< PR_SET_NAME
    arch::CpuSet cpus = arch::CpuSet().set();  ///< where it may run; under the tree's lock
    Scheduling scheduling;                     ///< changed by set_scheduling; under the tree's lock
    std::uint64_t timer_slack = 0;  ///< PR_SET_TIMERSLACK, in nanoseconds; 0: the usual one. Without effect.

    [[nodiscard]] bool has_work() const { return work.load(std::memory_order_relaxed) != 0; }

    void add_work(Work what) { work.fetch_or(static_cast<std::uint32_t>(what), std::memory_order_seq_cst); }

    void remove_work(Work what) {
        work.fetch_and(~static_cast<std::uint32_t>(what), std::memory_order_seq_cst);
    }

  private:
    Ref<Process> process_;
};

enum class Life : std::uint8_t { running, stopped, ended };

/// A process. Fields are guarded by the tree's lock but where they say otherwise.
class Process final : public RefCounted, public ListLink<ChildLink>, public SetLink<ProcessIdLink> {
  public:
    void set_parent(Process* other) {
        parent = other;
        parent_id.store(other == nullptr ? 0 : other->id, std::memory_order_relaxed);
    }

    ProcessId id = 0;  ///< constant once it is in the tree
    ProcessId group = 0;
    ProcessId session = 0;
    Process* parent = nullptr;       ///< changed by set_parent only
    Atomic<ProcessId> parent_id{0};  ///< its number, 0 without one; read without the lock
    Life life = Life::running;
    int exit_signal = 0;  ///< what the parent gets when it ends
    int status = 0;       ///< as wait(2) tells it, once ended
    int stop_signal = 0;  ///< what stopped it last
    Tracees tracees;
    int change = 0;             ///< stopped or continued, and not told yet: as wait(2) tells it
    bool ends = false;          ///< all threads are on their way out
    int end_status = 0;         ///< with this status
    bool has_executed = false;  ///< setpgid by the parent is too late
    unsigned live_threads = 0;
    unsigned leaving_threads = 0;     ///< of those, how many are past exit_thread's last look
    UserThread* executing = nullptr;  ///< the thread that waits for all others to end
    bool is_dumpable = true;          ///< whether its own user may look into it (PR_SET_DUMPABLE)
    Image image;
    int parent_end_signal = 0;  ///< what it gets when its parent ends (PR_SET_PDEATHSIG)
    bool is_subreaper = false;  ///< orphans below it become its children
    bool has_fixed_layout =
        false;  ///< the programs it executes lie where such programs always lie (personality)
    std::array<Limit, 16> limits;  ///< RLIM_NLIMITS
    Ref<SignalActions> actions;
    PendingSignals pending;

    // Changed by its own threads, one at a time (exec, when there is one only); others take a reference under
    // the tree's lock.
    Ref<memory::AddressSpace> space;
    Ref<fs::DescriptorTable> descriptors;
    Ref<fs::Context> context;
    Ref<RefCounted> undone_at_end;  ///< SEM_UNDO: its end is in the end of its last owner

    using Threads = boost::intrusive::list<UserThread, boost::intrusive::base_hook<ListLink<ThreadLink>>,
                                           boost::intrusive::constant_time_size<false>>;
    using Children = boost::intrusive::list<Process, boost::intrusive::base_hook<ListLink<ChildLink>>,
                                            boost::intrusive::constant_time_size<false>>;
    Threads threads;
    Children children;  ///< one owner's part of each is the tree's

    std::array<char, 16> last_name{};
    Scheduling last_scheduling;  ///< once it has ended, as its last thread's name
    Identity last_identity;      ///< the same

    ProcessTimers timers;  ///< guarded by the timers' lock

    WaitQueue signal_queue;         ///< who reads signals as a file (signalfd)
    fs::PollQueue signal_watchers;  ///< who waits until there are some
    WaitQueue changed;              ///< a child ended, stopped or went on; a thread ended
    WaitQueue released;             ///< of a child made by vfork: it has its own space now, or has ended
    Atomic<bool> has_released{true};

    /// Its first thread's; of one that has ended, its last thread's.
    [[nodiscard]] std::string_view name();
    [[nodiscard]] const Identity& identity() const;
    /// What its limits mean for its address space. With the tree's lock.
    [[nodiscard]] memory::AddressSpace::Limits space_limits() const;

    CpuTime ended_threads_time;
    IoCounts ended_io;  ///< of ended threads, and of children that were waited for
    std::uint64_t ended_threads_faults = 0;
    std::uint64_t children_faults = 0;  ///< as children_time
    CpuTime children_time;              ///< of ended children that were waited for, and of theirs
    Instant started;
};

/// The lock of the tree: who is whose child, which threads there are, what signals are pending.
[[nodiscard]] SpinLock& tree_lock();

// With the tree's lock held.

/// nullptr when there is none. Zombies are found as well.
[[nodiscard]] Process* find_process(ProcessId id);
[[nodiscard]] UserThread* find_thread(ProcessId id);
/// Puts a new process, a child of `parent`, with its first thread into the tree, under a new number: the
/// lowest after the last one given that is free. Error: eagain.
[[nodiscard]] Outcome<> enlist(Process& process, Process* parent, UserThread& first);
/// The same for a further thread.
[[nodiscard]] Outcome<> enlist(UserThread& thread);
/// Calls f(Process&) for all, in order of their numbers.
void for_each_process(FunctionRef<void(Process&)> f);
[[nodiscard]] std::size_t process_count();
/// Time on processors: of all threads, ended ones too; of one. What part of it was the kernel's is known from
/// looking 100 times a second.
[[nodiscard]] CpuTime time_of(Process& process);
[[nodiscard]] CpuTime time_of(UserThread& thread);
/// What its threads moved, ended ones too, and the children it waited for.
[[nodiscard]] IoCounts io_of(const Process& process);
/// Page faults of all its threads, ended ones too. None waits for a disk: what can be mapped lies in memory.
[[nodiscard]] std::uint64_t faults_of(const Process& process);
void set_scheduling(UserThread& thread, const Scheduling& scheduling);
/// The running thread is somebody else from here on. What only its user could reach before, that user no
/// longer reaches.
void change_identity(UserThread& self, const Identity& identity);
/// Whether the thread may look into another one, as ptrace(2) has it.
[[nodiscard]] bool may_look_into(const UserThread& self, const UserThread& other, Identity::By by);

// Without it.

/// What a clone shares, of CLONE_*; and where things go.
struct CloneRequest {
    std::uint64_t flags = 0;
    int exit_signal = 0;
    std::uint64_t stack = 0;  ///< the new thread's; 0: as the caller's
    std::uint64_t thread_pointer = 0;
    UserAddress child_tid{};
    UserAddress parent_tid{};
};

/// clone(2): a thread or a process like the caller, which sees 0 as the call's result. Returns its number.
/// With CLONE_VFORK, after it has executed a program or ended. Errors: as clone(2).
[[nodiscard]] Outcome<ProcessId> clone(UserThread& self, const CloneRequest& request);

/// The first process, with a space of its own and no parent; `frame` becomes its registers. Error: enomem.
[[nodiscard]] Outcome<Ref<Process>> create_first(Ref<fs::DescriptorTable> descriptors,
                                                 Ref<fs::Context> context, void (*entry)(void*),
                                                 void* argument);

/// Ends the running thread; the last one ends its process, with `status` unless it ends already.
[[noreturn]] void exit_thread(UserThread& self, int status);
/// Ends all threads of the running thread's process.
[[noreturn]] void exit_process(UserThread& self, int status);
/// Ends all other threads of the process and waits until they are gone: the caller is then its only and first
/// one. Error: eagain, when the process ends already.
[[nodiscard]] Outcome<> become_only_thread(UserThread& self);
/// The child no longer uses its parent's memory: who waits in vfork goes on.
void release_parent(Process& process);

/// How wait4 and waitid choose.
struct WaitRequest {
    enum class Which : std::uint8_t { any, process, group } which = Which::any;
    ProcessId id = 0;
    bool no_hang = false, exited = true, stopped = false, continued = false, keep = false;
};

struct WaitResult {
    ProcessId id = 0;  ///< 0: nothing yet, with no_hang
    int status = 0;    ///< as wait(2)
    std::uint32_t user = 0;
    CpuTime time;              ///< its own on processors, and that of its children
    std::uint64_t faults = 0;  ///< the same of page faults
};

/// Errors: echild, eintr.
[[nodiscard]] Outcome<WaitResult> wait_for_child(UserThread& self, const WaitRequest& request);

/// The status the first process ended with, once it has; waits for it.
[[nodiscard]] int wait_for_first();

// Signals (task/process_signal.cpp).

/// Sends to a process: any of its threads that does not block it takes it. `signal` 0 sends nothing.
void send_signal(Process& process, int signal, const SignalInfo& info);
void send_signal(UserThread& thread, int signal, const SignalInfo& info);
/// To all processes of a group. False when there is none.
bool send_group_signal(ProcessId group, int signal, const SignalInfo& info);
/// A fault of the running thread: blocked or ignored, it ends the process.
void force_signal(UserThread& self, int signal, int code, std::uint64_t address);
/// `from` is who is told to have sent it, nullptr for the kernel; a process only with the tree's lock.
[[nodiscard]] SignalInfo make_info(int signal, int code, const Process* from);
[[nodiscard]] SignalInfo make_info(int signal, int code, const UserThread& from);
/// Whether the running thread must leave its wait: for fs::set_interruption_check.
[[nodiscard]] bool is_interrupted();
/// Whether it ends before it sees user mode again: for fs::set_killed_check.
[[nodiscard]] bool is_killed();
/// Its limit on files' sizes, and what it is told beyond it: for fs::set_size_limit.
[[nodiscard]] std::uint64_t file_size_limit();
void tell_file_too_large();
/// Sets the running thread's mask, and looks whether something is to be taken now.
void set_blocked(UserThread& self, SignalSet blocked);
/// With the tree's lock: takes the lowest of `wanted` that waits for the running thread or for its process,
/// faults first. 0 when none does.
[[nodiscard]] int take_signal(UserThread& self, SignalSet wanted, SignalInfo& info);
/// With the tree's lock: looks whether `thread` has something to take, and wakes it.
void recheck_signals(UserThread& thread);

/// Takes one signal that is pending and not blocked: its action decides. Returns after building a handler's
/// frame, or when there is none left. May end the thread.
void deliver_signals(UserThread& self);
/// rt_sigreturn: back to what the last handler interrupted.
void return_from_signal(UserThread& self);

}  // namespace pv::task
