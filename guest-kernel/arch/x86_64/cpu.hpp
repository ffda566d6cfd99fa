// What belongs to one processor: its descriptor tables, its stacks for the worst, its scheduler. Found
// through %gs. SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/x86_64/descriptors.hpp"
#include "memory/slab.hpp"

namespace pv::task {
class Scheduler;
}

namespace pv::arch {

/// Registers to go back to when the function under probe faults; laid out for switch.S.
struct ProbeState {
    std::uint64_t rbx, rbp, r12, r13, r14, r15, rsp, resume;
    std::uint64_t error_code, address;
};

struct alignas(64) Cpu {
    Cpu* self = nullptr;  // first: read through %gs:0
    std::uint32_t index = 0;
    std::uint32_t apic_id = 0;
    std::uint64_t spinning_ranks = 0;
    std::uint64_t early_sleeping_ranks = 0;  // before there are threads
    std::uint32_t interrupt_depth = 0;
    bool panicking = false;
    task::Scheduler* scheduler = nullptr;
    ProbeState* probe = nullptr;
    std::array<std::uint64_t, ist_count> ist_guards{};  // lowest address of each guard page
    memory::Heap::CpuStock heap_stock;
    DescriptorTables tables;
};

static_assert(offsetof(Cpu, self) == 0);

/// The processor this runs on. One instruction: right even if the thread moves right after.
[[nodiscard]] inline Cpu& this_cpu() {
    Cpu* cpu = nullptr;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
    return *cpu;
}

/// Makes `cpu` this processor's own: %gs, GDT, TSS, IDT, stacks for the worst in the early area. First thing
/// after entry.
void adopt_cpu(Cpu& cpu, std::uint32_t index);

/// The first processor's, which must be there before there is memory to give out.
[[nodiscard]] Cpu& boot_cpu();

/// The CPU with this index, below cpu_count().
[[nodiscard]] Cpu& cpu(unsigned index);

struct Protections {
    bool write_protect, no_execute, smep, smap, umip;
};

/// Turns on what the processor offers, and tells what is on.
Protections enable_protections();

}  // namespace pv::arch
