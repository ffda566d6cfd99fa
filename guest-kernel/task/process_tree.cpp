// The tree of processes: numbers, look-ups, who is in it.
// SPDX-License-Identifier: MIT
#include "task/process_tree.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>

#include "arch/x86_64/cpu.hpp"
#include "base/panic.hpp"
#include "task/control_block.hpp"
#include "task/park.hpp"
#include "task/scheduler.hpp"

namespace pv::task {
namespace {

struct ThreadKey {
    using type = ProcessId;

    const ProcessId& operator()(const UserThread& thread) const { return thread.id; }
};

struct ProcessKey {
    using type = ProcessId;

    const ProcessId& operator()(const Process& process) const { return process.id; }
};

using ThreadSet = boost::intrusive::set<UserThread, boost::intrusive::base_hook<SetLink<ThreadId>>,
                                        boost::intrusive::key_of_value<ThreadKey>>;
using ProcessSet = boost::intrusive::set<Process, boost::intrusive::base_hook<SetLink<ProcessIdLink>>,
                                         boost::intrusive::key_of_value<ProcessKey>>;

/// Beyond the last number; as Linux's pid_max on 64-bit machines.
constexpr ProcessId id_end = 4'194'304;

struct Tree {
    ThreadSet threads;
    ProcessSet processes;
    ProcessId last_id = 0;
    std::uint64_t made = 0;
    Process* first = nullptr;
};

constinit SpinLock lock{Rank::process};

constinit OnFirstUse<Tree> tree;  // behind the lock

bool is_taken(Tree& all, ProcessId id) {
    return all.threads.find(id) != all.threads.end() || all.processes.find(id) != all.processes.end();
}

Outcome<ProcessId> next_id(Tree& all) {
    if (all.threads.size() + all.processes.size() >= id_end / 2) {
        return fail(Errno::eagain);
    }
    // Groups and sessions keep the numbers of processes that have ended: a number comes again late.
    do {
        all.last_id = all.last_id + 1 < id_end ? all.last_id + 1 : 2;
    } while (is_taken(all, all.last_id));
    return all.last_id;
}

}  // namespace

SpinLock& tree_lock() {
    return lock;
}

Process* find_process(ProcessId id) {
    const auto found = tree->processes.find(id);
    return found == tree->processes.end() ? nullptr : &*found;
}

UserThread* find_thread(ProcessId id) {
    const auto found = tree->threads.find(id);
    return found == tree->threads.end() ? nullptr : &*found;
}

Process* find_process_from(ProcessId id) {
    const auto found = tree->processes.lower_bound(id);
    return found == tree->processes.end() ? nullptr : &*found;
}

TreeFacts tree_facts() {
    return {tree->processes.size(), tree->threads.size(), tree->last_id, tree->made};
}

Outcome<> enlist(UserThread& thread) {
    Process& process = thread.process();
    if (process.ends || process.executing != nullptr) {
        return fail(Errno::eagain);
    }
    thread.id = PV_TRY(next_id(*tree));
    tree->threads.insert(thread);
    ++tree->made;
    process.threads.push_back(thread);
    ++process.live_threads;
    return {};
}

Outcome<> enlist(Process& process, Process* parent, UserThread& first) {
    PV_TRY(enlist(first));
    process.id = first.id;
    if (parent == nullptr) {
        process.group = process.session = process.id;
        tree->first = &process;
    } else {
        process.set_parent(parent);
        parent->children.push_back(process);
    }
    tree->processes.insert(process);
    return {};
}

bool retire(UserThread& thread) {
    Process& process = thread.process();
    tree->threads.erase(tree->threads.iterator_to(thread));
    process.threads.erase(process.threads.iterator_to(thread));
    process.ended_threads_time = process.ended_threads_time + time_of(thread);
    process.ended_io = process.ended_io + thread.io.counts();
    process.ended_threads_faults += thread.faults.load(std::memory_order_relaxed);
    thread.control = nullptr;
    process.last_name = thread.name;
    process.last_scheduling = thread.scheduling;
    process.last_identity = thread.identity;
    return --process.live_threads == 0;
}

void take_number(UserThread& thread, ProcessId id) {
    tree->threads.erase(tree->threads.iterator_to(thread));
    thread.id = id;
    tree->threads.insert(thread);
}

Ref<Process> remove_child(Process& child) {
    if (child.parent != nullptr) {
        child.parent->children.erase(child.parent->children.iterator_to(child));
        child.set_parent(nullptr);
    }
    tree->processes.erase(tree->processes.iterator_to(child));
    if (tree->first == &child) {
        tree->first = nullptr;
    }
    return Ref<Process>::adopt(&child);
}

Process* first_process() {
    return tree->first;
}

void for_each_process(FunctionRef<void(Process&)> f) {
    for (Process& process : tree->processes) {
        f(process);
    }
}

std::size_t process_count() {
    return tree->processes.size();
}

CpuTime time_of(UserThread& thread) {
    return thread.control == nullptr ? CpuTime() : Scheduler::account(*thread.control).ran;
}

CpuTime time_of(Process& process) {
    CpuTime total = process.ended_threads_time;
    for (UserThread& thread : process.threads) {
        total = total + time_of(thread);
    }
    return total;
}

std::uint64_t faults_of(const Process& process) {
    std::uint64_t total = process.ended_threads_faults;
    for (const UserThread& thread : process.threads) {
        total += thread.faults.load(std::memory_order_relaxed);
    }
    return total;
}

IoCounts io_of(const Process& process) {
    IoCounts total = process.ended_io;
    for (const UserThread& thread : process.threads) {
        total = total + thread.io.counts();
    }
    return total;
}

Scheduling Scheduling::inherited() const {
    if (!resets_on_fork) {
        return *this;
    }
    return {.policy = is_real_time() ? SCHED_OTHER : policy, .nice = is_real_time() ? 0 : std::max(nice, 0)};
}

Priority Scheduling::priority() const {
    return is_real_time() ? real_time_priority(real_time) : Priority::normal;
}

Duration Scheduling::turn() const {
    // Each step of niceness is a quarter more or less, as Linux weighs them; what is outside of these bounds
    // would keep others waiting for long, or switch all the time.
    constexpr Duration longest = Duration::milliseconds(100);
    constexpr Duration shortest = Duration::microseconds(500);
    if (is_real_time()) {
        return policy == SCHED_FIFO ? Duration::max() : round_robin_turn;
    }
    if (policy == SCHED_IDLE) {
        return shortest;
    }
    Duration turn = usual_turn;
    for (int step = 0; step < nice; ++step) {
        turn = turn * 4 / 5;
    }
    for (int step = 0; step > nice; --step) {
        turn = turn * 5 / 4;
    }
    return std::clamp(turn, shortest, longest);
}

void set_scheduling(UserThread& thread, const Scheduling& scheduling) {
    thread.scheduling = scheduling;
    if (thread.control != nullptr) {
        Scheduler::set_priority(*thread.control, scheduling.priority(), scheduling.turn());
    }
}

void wake(UserThread& thread) {
    if (thread.control != nullptr) {
        unpark(*thread.control);
        Scheduler::kick(*thread.control);
    }
}

UserThread* UserThread::current_or_null() {
    const ControlBlock* thread = arch::running_thread();
    return thread == nullptr ? nullptr : static_cast<UserThread*>(thread->user);
}

UserThread& UserThread::current() {
    UserThread* thread = current_or_null();
    PV_ASSERT(thread != nullptr);
    return *thread;
}

void change_identity(UserThread& self, const Identity& identity) {
    if (identity.is_withdrawn(self.identity)) {
        self.process().is_dumpable = false;
        self.process().parent_end_signal = 0;
    }
    self.identity = identity;
}

bool may_look_into(const UserThread& self, const UserThread& other, Identity::By by) {
    return &self.process() == &other.process() ||
           self.identity.may_look_into(other.identity, other.process().is_dumpable, by);
}

memory::AddressSpace::Limits Process::space_limits() const {
    return {limits[RLIMIT_AS].soft, limits[RLIMIT_DATA].soft, limits[RLIMIT_STACK].soft};
}

const Identity& Process::identity() const {
    return threads.empty() ? last_identity : threads.front().identity;
}

std::string_view Process::name() {
    return threads.empty() ? std::string_view(last_name.data())
                           : std::string_view(threads.front().name.data());
}

}  // namespace pv::task
