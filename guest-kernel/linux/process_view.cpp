// What /proc is told of processes: from the tree of them, their spaces and tables.
// SPDX-License-Identifier: MIT
#include "linux/process_view.hpp"

#include <algorithm>

#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "fs/process_view.hpp"
#include "linux/file_source.hpp"
#include "task/control_block.hpp"
#include "task/process_tree.hpp"
#include "task/scheduler.hpp"

namespace pv::linux {
namespace {

using task::Process;
using task::UserThread;

// The tree's lock is held in these.

char state_of(Process& process, UserThread* thread, fs::ProcessFacts& facts) {
    bool is_runnable = false;
    const auto look = [&](UserThread& one) {
        if (one.control != nullptr) {
            const task::Scheduler::Account account = task::Scheduler::account(*one.control);
            is_runnable = is_runnable || account.is_runnable;
            facts.ran = facts.ran + account.ran;
            facts.switches += account.turns;
        }
    };
    if (thread != nullptr) {
        look(*thread);
    } else {
        facts.ran = process.ended_threads_time;
        std::ranges::for_each(process.threads, look);
    }
    switch (process.life) {
        case task::Life::ended:
            return 'Z';
        case task::Life::stopped:
            return 'T';
        default:
            return is_runnable ? 'R' : 'S';
    }
}

void add_signals(Process& process, UserThread* thread, fs::ProcessFacts& facts) {
    facts.shared_pending = process.pending.set();
    if (thread != nullptr) {
        facts.pending = thread->pending.set();
        facts.blocked = thread->blocked.load(std::memory_order_relaxed);
    }
    if (process.life == task::Life::ended || process.actions == nullptr) {
        return;
    }
    for (int signal = 1; signal <= task::signal_count; ++signal) {
        const std::uint64_t handler = (*process.actions)[signal].handler;
        (handler == 1 ? facts.ignored : facts.caught) |= handler == 0 ? 0 : task::bit_of(signal);
    }
}

fs::ProcessFacts facts_of(Process& process, UserThread* thread) {
    UserThread* const first = process.threads.empty() ? nullptr : &process.threads.front();
    fs::ProcessFacts facts{.id = thread != nullptr ? thread->id : process.id,
                           .process = process.id,
                           .parent = process.parent == nullptr ? 0 : process.parent->id,
                           .group = process.group,
                           .session = process.session,
                           .threads = std::max(process.live_threads, 1U),
                           .exit_signal = process.exit_signal,
                           .children_ran = process.children_time,
                           .faults = thread != nullptr ? thread->faults.load(std::memory_order_relaxed)
                                                       : task::faults_of(process),
                           .children_faults = process.children_faults,
                           .io = thread != nullptr ? thread->io.counts() : task::io_of(process),
                           .started = process.started};
    facts.state = state_of(process, thread, facts);
    const UserThread* const asked = thread != nullptr ? thread : first;
    const task::Scheduling& scheduling = asked != nullptr ? asked->scheduling : process.last_scheduling;
    facts.nice = scheduling.nice;
    facts.policy = scheduling.policy;
    facts.real_time_priority = scheduling.real_time;
    if (asked != nullptr && asked->trace.tracer != nullptr) {
        facts.tracer = asked->trace.tracer->id;
        facts.state = asked->trace.is_stopped ? 't' : facts.state;
    }
    const std::string_view name = thread != nullptr ? std::string_view(thread->name.data()) : process.name();
    std::copy_n(name.begin(), std::min(name.size(), facts.name.size() - 1), facts.name.begin());
    const task::Identity& who = thread != nullptr ? thread->identity : process.identity();
    facts.users = {who.user, who.effective_user, who.saved_user, who.file_user};
    facts.groups = {who.group, who.effective_group, who.saved_group, who.file_group};
    facts.other_groups = who.groups;
    facts.other_group_count = who.group_count;
    facts.capabilities = {who.inheritable.bits(), who.permitted.bits(), who.effective.bits(),
                          who.bounding.bits(), who.ambient.bits()};
    facts.no_new_privileges = who.no_new_privileges;
    facts.umask = process.context == nullptr ? fs::Mode{0} : process.context->umask();
    add_signals(process, thread != nullptr ? thread : first, facts);
    for (std::size_t i = 0; i < facts.limits.size(); ++i) {
        facts.limits[i] = {process.limits[i].soft, process.limits[i].hard};
    }
    return facts;
}

// What `pick` returns of a process, with the tree's lock held. Error: esrch.
template <class F>
auto with_process(int id, F&& pick) -> Outcome<std::invoke_result_t<F, Process&>> {
    const task::SpinGuard guard(task::tree_lock());
    Process* process = task::find_process(id);
    if (process == nullptr) {
        return fail(Errno::esrch);
    }
    return pick(*process);
}

template <class T>
Outcome<Ref<T>> unless_gone(Outcome<Ref<T>> found) {
    return found && !*found ? fail(Errno::esrch) : std::move(found);
}

Outcome<Ref<memory::AddressSpace>> space_of(int id) {
    return unless_gone<memory::AddressSpace>(
        with_process(id, [](Process& process) { return process.space; }));
}

std::string_view text_of(memory::Purpose purpose) {
    switch (purpose) {
        case memory::Purpose::heap:
            return "[heap]";
        case memory::Purpose::stack:
            return "[stack]";
        case memory::Purpose::vdso:
            return "[vdso]";
        case memory::Purpose::vvar:
            return "[vvar]";
        default:
            return {};
    }
}

fs::MappedRegion shown(const memory::Region& region) {
    const memory::Contents& contents = region.contents();
    fs::MappedRegion facts{.begin = region.begin(),
                           .end = region.end(),
                           .read = contents.rights.read,
                           .write = contents.rights.write,
                           .execute = contents.rights.execute,
                           .shared = contents.shared,
                           .offset = contents.offset * page_size};
    facts.purpose = text_of(contents.purpose);
    if (contents.source && contents.source->is_file()) {
        facts.file = &static_cast<const FileSource&>(*contents.source).file();
    }
    return facts;
}

class Processes final : public fs::ProcessView {
  public:
    int next_process(int from) override {
        const task::SpinGuard guard(task::tree_lock());
        const Process* process = task::find_process_from(from);
        return process == nullptr ? -1 : process->id;
    }

    int process_of(int id) override {
        const task::SpinGuard guard(task::tree_lock());
        const UserThread* thread = task::find_thread(id);
        return thread == nullptr ? 0 : thread->process().id;
    }

    int next_thread(int id, int from) override {
        const auto found = with_process(id, [&](Process& process) {
            int lowest = -1;
            for (const UserThread& thread : process.threads) {
                if (thread.id >= from && (lowest < 0 || thread.id < lowest)) {
                    lowest = thread.id;
                }
            }
            return lowest;
        });
        return found.value_or(-1);
    }

    int own_process() override {
        const UserThread* self = UserThread::current_or_null();
        return self == nullptr ? 0 : self->process().id;
    }

    int own_thread() override {
        const UserThread* self = UserThread::current_or_null();
        return self == nullptr ? 0 : self->id;
    }

    fs::Location own_root() override {
        const UserThread* self = UserThread::current_or_null();
        const Ref<fs::Context> context = self == nullptr ? nullptr : self->process().context;
        return context ? context->root() : fs::Location{};
    }

    Outcome<fs::ProcessFacts> facts(int id, int thread_id) override {
        Ref<memory::AddressSpace> space;
        Outcome<fs::ProcessFacts> found = with_process(id, [&](Process& process) {
            UserThread* thread = thread_id == 0 ? nullptr : task::find_thread(thread_id);
            if (thread_id != 0 && (thread == nullptr || &thread->process() != &process)) {
                return fs::ProcessFacts{.id = -1};
            }
            space = process.space;
            return facts_of(process, thread);
        });
        if (found && found->id < 0) {
            return fail(Errno::esrch);
        }
        if (found && space) {
            const memory::AddressSpace::Statistics memory = space->statistics();
            found->mapped = memory.mapped;
            found->resident = memory.resident;
            found->tables = memory.tables;
        }
        return found;
    }

    Outcome<Ref<fs::DescriptorTable>> descriptors(int id) override {
        return unless_gone<fs::DescriptorTable>(
            with_process(id, [](Process& process) { return process.descriptors; }));
    }

    Outcome<Ref<fs::Context>> context(int id) override {
        return unless_gone<fs::Context>(with_process(id, [](Process& process) { return process.context; }));
    }

    Outcome<fs::Location> executable(int id) override {
        const Ref<fs::OpenFile> file =
            PV_TRY(with_process(id, [](Process& process) { return process.image.file; }));
        return file ? Outcome<fs::Location>(file->location()) : fail(Errno::enoent);
    }

    Outcome<> regions(int id, bool counted, FunctionRef<void(const fs::MappedRegion&)> each) override {
        const Ref<memory::AddressSpace> space = PV_TRY(space_of(id));
        if (!counted) {
            space->for_each([&](const memory::Region& region) { each(shown(region)); });
            return {};
        }
        space->for_each_counted([&](const memory::Region& region, const memory::RegionPages& pages) {
            fs::MappedRegion facts = shown(region);
            facts.pages = pages;
            each(facts);
        });
        return {};
    }

    Outcome<std::array<UserAddress, 2>> area(int id, fs::MemoryArea which) override {
        PV_TRY(space_of(id));
        return with_process(id, [&](Process& process) {
            const task::Image::Range range = which == fs::MemoryArea::arguments ? process.image.arguments
                                             : which == fs::MemoryArea::environment
                                                 ? process.image.environment
                                                 : process.image.auxiliary;
            return std::array{range.begin, range.end};
        });
    }

    Outcome<> peek(int id, std::span<std::byte> to, UserAddress from) override {
        return PV_TRY(space_of(id))->peek(to, from);
    }

    Outcome<> poke(int id, UserAddress to, std::span<const std::byte> from) override {
        return PV_TRY(space_of(id))->poke(to, from);
    }

    bool may_look_into(int id) override {
        const UserThread* self = UserThread::current_or_null();
        if (self == nullptr) {
            return true;
        }
        return with_process(id,
                            [&](Process& process) {
                                return &process == &self->process() ||
                                       self->identity.may_look_into(process.identity(), process.is_dumpable,
                                                                    task::Identity::By::file);
                            })
            .value_or(false);
    }

    unsigned processors() override { return arch::cpu_count(); }

    fs::ProcessorFacts processor(unsigned index) override {
        const arch::Cpu& cpu = arch::cpu(index);
        fs::ProcessorFacts facts{.timer = cpu.interrupts.timer.load(std::memory_order_relaxed),
                                 .calls = cpu.interrupts.reschedule.load(std::memory_order_relaxed),
                                 .shootdowns = cpu.interrupts.shootdown.load(std::memory_order_relaxed)};
        if (cpu.scheduler != nullptr) {
            facts.idle = cpu.scheduler->idle_time();
            facts.switches = cpu.scheduler->switches();
        }
        return facts;
    }

    fs::LoadFacts load() override {
        const task::SpinGuard guard(task::tree_lock());
        const task::TreeFacts tree = task::tree_facts();
        fs::LoadFacts facts{.processes = static_cast<unsigned>(tree.processes),
                            .threads = static_cast<unsigned>(tree.threads),
                            .last_id = tree.last_id,
                            .forks = tree.made,
                            .large_pages = arch::UserTables::large_pages_of_all(),
                            .averages = task::Scheduler::load_average().values(now())};
        task::for_each_process([&](Process& process) {
            for (const UserThread& thread : process.threads) {
                if (thread.control != nullptr && task::Scheduler::account(*thread.control).is_runnable) {
                    ++facts.runnable;
                }
            }
        });
        return facts;
    }
};

constinit Processes processes;

}  // namespace

void start_process_view() {
    fs::set_process_view(processes);
}

}  // namespace pv::linux
