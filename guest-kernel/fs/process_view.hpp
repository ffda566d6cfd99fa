// What /proc tells of processes, as questions: whoever runs programs answers them.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

#include "base/address.hpp"
#include "base/cpu_time.hpp"
#include "base/errno.hpp"
#include "base/function_ref.hpp"
#include "base/io_counts.hpp"
#include "base/time.hpp"
#include "fs/descriptor_table.hpp"
#include "fs/mounts.hpp"
#include "fs/path.hpp"
#include "fs/types.hpp"
#include "memory/regions.hpp"

namespace pv::fs {

/// One process, or one of its threads, at a moment.
struct ProcessFacts {
    int id = 0;  ///< of the thread asked for
    int process = 0;
    int parent = 0;
    int tracer = 0;  ///< its process, 0: none
    int group = 0;
    int session = 0;
    unsigned threads = 0;
    char state = 'S';  ///< as proc(5) has it: R, S, T, t or Z
    std::array<char, 16> name{};
    std::array<UserId, 4> users{};    ///< real, effective, saved, file system
    std::array<GroupId, 4> groups{};  ///< the same
    std::array<GroupId, 32> other_groups{};
    std::size_t other_group_count = 0;
    std::array<std::uint64_t, 5> capabilities{};  ///< inheritable, permitted, effective, bounding, ambient
    bool no_new_privileges = false;
    Mode umask = 0;
    std::uint64_t pending = 0;         ///< signals, bit n - 1 for n: the thread's
    std::uint64_t shared_pending = 0;  ///< the process's
    std::uint64_t blocked = 0;
    std::uint64_t ignored = 0;
    std::uint64_t caught = 0;
    int exit_signal = 0;
    int nice = 0;
    int policy = 0;              ///< as sched(7) numbers them
    int real_time_priority = 0;  ///< 1 to 99, 0: none
    CpuTime ran{};               ///< on processors
    CpuTime children_ran{};      ///< of ended children that were waited for
    std::uint64_t faults = 0;    ///< page faults
    std::uint64_t children_faults = 0;
    IoCounts io{};  ///< what it moved; of a process, with its ended threads and those children
    Instant started{};
    std::uint64_t switches = 0;                             ///< how often it was given a processor
    std::uint64_t mapped = 0;                               ///< bytes
    std::uint64_t resident = 0;                             ///< pages
    std::uint64_t tables = 0;                               ///< frames of page tables
    std::array<std::array<std::uint64_t, 2>, 16> limits{};  ///< soft and hard, ~0: none
};

/// One region of an address space. Valid for the length of a call.
struct MappedRegion {
    UserAddress begin;
    UserAddress end;
    bool read = false;
    bool write = false;
    bool execute = false;
    bool shared = false;
    std::uint64_t offset = 0;        ///< bytes
    const OpenFile* file = nullptr;  ///< what is mapped; nullptr: memory of its own
    std::string_view purpose{};      ///< "[heap]" and its kin
    memory::RegionPages pages{};     ///< where they were asked for
};

/// Ranges of a program's memory that /proc shows.
enum class MemoryArea : std::uint8_t { arguments, environment, auxiliary };

/// The machine's processors.
struct ProcessorFacts {
    Duration idle{};
    std::uint64_t switches = 0;
    std::uint64_t timer = 0;  ///< interrupts of its own timer
    std::uint64_t calls = 0;  ///< by other processors, to see what to run
    std::uint64_t shootdowns = 0;
};

struct LoadFacts {
    unsigned processes = 0;
    unsigned threads = 0;
    unsigned runnable = 0;
    int last_id = 0;
    std::uint64_t forks = 0;                  ///< processes and threads ever made
    std::uint64_t large_pages = 0;            ///< pages of programs that are parts of large ones
    std::array<std::uint64_t, 3> averages{};  ///< over 1, 5 and 15 minutes: threads, in 65536ths
};

/// Threads only, no lock held of Rank::user_space or higher. A process that has gone is esrch.
class ProcessView {
  public:
    /// The lowest number of a process from `from` on; -1: none.
    [[nodiscard]] virtual int next_process(int from) = 0;
    /// The same among the threads of a process.
    [[nodiscard]] virtual int next_thread(int process, int from) = 0;
    /// The process that a thread of that number is of; 0: there is none.
    [[nodiscard]] virtual int process_of(int thread) = 0;
    /// Of the running thread; 0: the kernel's own.
    [[nodiscard]] virtual int own_process() = 0;
    [[nodiscard]] virtual int own_thread() = 0;
    /// What paths are shown below: the running process's root directory.
    [[nodiscard]] virtual Location own_root() = 0;

    /// `thread`: 0 for the process as a whole.
    [[nodiscard]] virtual Outcome<ProcessFacts> facts(int process, int thread) = 0;
    [[nodiscard]] virtual Outcome<Ref<DescriptorTable>> descriptors(int process) = 0;
    [[nodiscard]] virtual Outcome<Ref<Context>> context(int process) = 0;
    /// What it executes. Error: enoent for what has no program.
    [[nodiscard]] virtual Outcome<Location> executable(int process) = 0;
    /// Calls `each` for all regions in order, with their pages counted if `counted`. It must not touch a
    /// program's memory.
    [[nodiscard]] virtual Outcome<> regions(int process, bool counted,
                                            FunctionRef<void(const MappedRegion&)> each) = 0;
    /// Where an area lies; begin and end are equal where it has none.
    [[nodiscard]] virtual Outcome<std::array<UserAddress, 2>> area(int process, MemoryArea which) = 0;
    /// The process's memory. Errors: efault (nothing is mapped there), enomem.
    [[nodiscard]] virtual Outcome<> peek(int process, std::span<std::byte> to, UserAddress from) = 0;
    /// The same in the other direction, also where the process itself may only read: it gets a copy of its
    /// own then. Errors: efault (nothing is mapped there, or others share what may not be written), enomem.
    [[nodiscard]] virtual Outcome<> poke(int process, UserAddress to, std::span<const std::byte> from) = 0;
    /// Whether the running process may look into it, as ptrace asks (ptrace(2), "access mode checking").
    [[nodiscard]] virtual bool may_look_into(int process) = 0;

    [[nodiscard]] virtual unsigned processors() = 0;
    [[nodiscard]] virtual ProcessorFacts processor(unsigned index) = 0;
    [[nodiscard]] virtual LoadFacts load() = 0;

  protected:
    ~ProcessView() = default;
};

/// Set once, before /proc is looked at.
void set_process_view(ProcessView& view);
/// Without one set: one that knows no process.
[[nodiscard]] ProcessView& process_view();

}  // namespace pv::fs
