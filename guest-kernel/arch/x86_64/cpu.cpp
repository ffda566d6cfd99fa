// One processor's own data, and the protections it turns on.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/cpu.hpp"

#include "arch/processor.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/user_mode.hpp"
#include "base/atomic.hpp"
#include "base/panic.hpp"

namespace pv::arch {
namespace {

constinit Cpu first_cpu;
constinit std::array<Atomic<Cpu*>, cpus_max> cpus{&first_cpu};
constinit Atomic<unsigned> count{1};

}  // namespace

unsigned cpu_count() {
    return count.load(std::memory_order_acquire);
}

unsigned current_cpu() {
    return this_cpu().index;
}

Cpu& cpu(unsigned index) {
    PV_ASSERT(index < cpu_count());
    return *cpus[index].load(std::memory_order_relaxed);
}

void publish_cpu(Cpu& cpu) {
    PV_ASSERT(cpu.index == cpu_count() && cpu.index < cpus_max);
    cpus[cpu.index].store(&cpu, std::memory_order_relaxed);
    count.store(cpu.index + 1, std::memory_order_release);
}

Cpu& boot_cpu() {
    // Each of them is the end of the kernel anyway, or does not come while there are no programs: one stack
    // does until each has its own guard page.
    for (const Ist slot : {Ist::double_fault, Ist::nmi, Ist::machine_check, Ist::debug}) {
        first_cpu.tables.set_ist(slot, address_of(pv_early_ist_top));
    }
    return first_cpu;
}

void adopt_cpu(Cpu& cpu) {
    cpu.self = &cpu;
    cpu.tables.load(cpu.index, &cpu);
    // After the segment registers: loading a selector into %gs would clear the base.
    write_msr(Msr::gs_base, reinterpret_cast<std::uintptr_t>(&cpu));
    write_msr(Msr::kernel_gs_base, 0);
}

Protections enable_protections() {
    const Cpuid highest = cpuid(0);
    const Cpuid features = highest.eax >= 7 ? cpuid(7) : Cpuid{};
    Protections on{};
    std::uint64_t cr4 = read_cr4();
    // CPUID.7.0: EBX bit 7 SMEP, bit 20 SMAP; ECX bit 2 UMIP. CPUID.1: EDX bit 13 global pages.
    if ((features.ebx & 1U << 7) != 0) {
        cr4 |= cr4_smep;
        on.smep = true;
    }
    if ((features.ebx & 1U << 20) != 0) {
        cr4 |= cr4_smap;
        on.smap = true;
    }
    if ((features.ecx & 1U << 2) != 0) {
        cr4 |= cr4_umip;
        on.umip = true;
    }
    if ((cpuid(1).edx & 1U << 13) != 0) {
        cr4 |= cr4_global_pages;
    }
    write_cr4(cr4);
    this_cpu().smap = on.smap ? 1 : 0;
    write_cr0(read_cr0() | cr0_write_protect);
    start_user_mode();
    on.write_protect = (read_cr0() & cr0_write_protect) != 0;
    on.no_execute = (read_msr(Msr::efer) & efer_nx) != 0;
    return on;
}

}  // namespace pv::arch
