// What belongs to one processor: its descriptor tables, its stacks for the worst, its scheduler. Found
// through %gs.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/x86_64/descriptors.hpp"
#include "arch/x86_64/tlb_mailbox.hpp"
#include "base/atomic.hpp"
#include "memory/frame_stock.hpp"
#include "memory/slab.hpp"
#include "task/thread.hpp"

namespace pv::task {
class Scheduler;
struct ControlBlock;
}  // namespace pv::task

namespace pv::arch {

class UserTables;

/// What of a program this CPU holds.
struct UserCpu {
    UserTables* tables = nullptr;  ///< loaded, with a reference of its own; nullptr: the kernel's
    bool tables_rest = false;      ///< the kernel's are loaded in place of them (rest_tables)
    std::uint64_t vector_owner =
        0;  ///< the thread whose vector registers these are (UserState::id); 0: nobody's
    std::uint64_t debug_control = 0;  ///< DR7; 0: nothing is watched here
};

/// Registers to go back to when the function under probe faults; laid out for switch.S.
struct ProbeState {
    std::uint64_t rbx, rbp, r12, r13, r14, r15, rsp, resume;
    std::uint64_t error_code, address;
};

/// What a CPU that was made to stop, or asked where it is, found on its stack. Written by its NMI handler,
/// read after `done`.
struct StopReport {
    static constexpr std::size_t frames_max = 32;
    Atomic<bool> asked{false};
    Atomic<bool> done{false};
    std::uint64_t rip = 0;
    std::size_t frames = 0;
    std::array<std::uint64_t, frames_max> back_trace{};  ///< return addresses, innermost first
    std::array<char, task::name_max + 1> thread{};
};

/// How often each came that the kernel sends itself. Written by this CPU alone.
struct InterruptCounts {
    Atomic<std::uint64_t> timer{0};
    Atomic<std::uint64_t> reschedule{0};
    Atomic<std::uint64_t> shootdown{0};
};

struct alignas(64) Cpu {
    Cpu* self = nullptr;                    // first: read through %gs:0
    task::ControlBlock* running = nullptr;  // second: read through %gs:8
    std::uint64_t user_stack = 0;           // third: the program's %rsp while SYSCALL changes stacks
    std::uint64_t kernel_stack = 0;         // fourth: the running thread's, for SYSCALL
    std::uint64_t smap = 0;                 // fifth: whether CLAC exists
    std::uint32_t index = 0;
    std::uint32_t apic_id = 0;
    std::uint64_t spinning_ranks = 0;
    std::uint64_t early_sleeping_ranks = 0;  // before there are threads
    std::uint32_t interrupt_depth = 0;
    bool panicking = false;
    StopReport stop;

    /// What other CPUs' watchdogs noted about this one.
    struct Watched {
        Atomic<std::uint64_t> beat{0};   ///< the last one, when it was seen too old
        Atomic<std::uint64_t> since{0};  ///< when that was, nanoseconds since boot
        Atomic<bool> is_silent{false};
    } watched;

    tlb::Mailbox tlb;
    task::Scheduler* scheduler = nullptr;
    ProbeState* probe = nullptr;
    UserCpu user;
    InterruptCounts interrupts;
    std::array<std::uint64_t, ist_count> ist_guards{};  // lowest address of each guard page
    memory::Heap::CpuStock heap_stock;
    memory::FrameStock frame_stock;
    DescriptorTables tables;
};

static_assert(offsetof(Cpu, self) == 0 && offsetof(Cpu, running) == 8);
static_assert(offsetof(Cpu, user_stack) == 16 && offsetof(Cpu, kernel_stack) == 24 &&
              offsetof(Cpu, smap) == 32);  // user_mode.S, user_access.inc

/// The processor this runs on. The thread may move right after unless interrupts are off.
[[nodiscard]] inline Cpu& this_cpu() {
    Cpu* cpu = nullptr;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
    return *cpu;
}

/// The thread this processor runs, nullptr before there are threads. One instruction, so that the answer is
/// the calling thread even if it moves meanwhile.
[[nodiscard]] inline task::ControlBlock* running_thread() {
    task::ControlBlock* thread = nullptr;
    __asm__ volatile("movq %%gs:8, %0" : "=r"(thread));
    return thread;
}

/// Makes `cpu` this processor's own: %gs, GDT, TSS, IDT. Its fault stacks are set already. First thing after
/// entry.
void adopt_cpu(Cpu& cpu);

/// The first processor's, which must be there before there is memory to give out; its fault stacks are one
/// early stack, until it has its own.
[[nodiscard]] Cpu& boot_cpu();

/// The CPU with this index, below cpu_count().
[[nodiscard]] Cpu& cpu(unsigned index);

/// Counts `cpu` among those that run, as the next index. By the CPU itself, while the boot CPU waits for it.
void publish_cpu(Cpu& cpu);

struct Protections {
    bool write_protect, no_execute, smep, smap, umip;
};

/// Turns on what the processor offers, and tells what is on.
Protections enable_protections();

}  // namespace pv::arch
