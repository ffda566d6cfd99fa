// Filling and loading one processor's descriptor tables.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/descriptors.hpp"

#include "arch/x86_64/debug_registers.hpp"
#include "arch/x86_64/trap.hpp"

extern "C" const char pv_trap_stubs[];

namespace pv::arch {
namespace {

constexpr std::uint64_t code_descriptor = 0x00af'9b00'0000'ffff;
constexpr std::uint64_t data_descriptor = 0x00cf'9300'0000'ffff;
constexpr std::uint64_t user_data_descriptor = 0x00cf'f300'0000'ffff;
constexpr std::uint64_t user_code_descriptor = 0x00af'fb00'0000'ffff;
/// Data that is read only and grows down, for user mode, base 0; the limit is filled in.
constexpr std::uint64_t cpu_number_descriptor = 0x0000'f500'0000'0000;
constexpr std::uint8_t interrupt_gate = 0x8e;
constexpr std::uint8_t user_interrupt_gate = 0xee;  ///< INT3 and INTO are for programs too

struct [[gnu::packed]] TablePointer {
    std::uint16_t limit;
    std::uint64_t base;
};

Ist ist_for(std::size_t number) {
    switch (number) {
        case vector_double_fault:
            return Ist::double_fault;
        case vector_nmi:
            return Ist::nmi;
        case vector_machine_check:
            return Ist::machine_check;
        case vector_debug:
            return debug_exceptions_nest() ? Ist::none : Ist::debug;
        default:
            return Ist::none;
    }
}

}  // namespace

void DescriptorTables::load(std::uint32_t number, const void* cpu) {
    const auto task_base = reinterpret_cast<std::uintptr_t>(&task);
    gdt[0] = reinterpret_cast<std::uintptr_t>(cpu);
    gdt[1] = code_descriptor;
    gdt[2] = data_descriptor;
    gdt[user_data_selector / 8] = user_data_descriptor;
    gdt[user_code_selector / 8] = user_code_descriptor;
    // Available 64-bit TSS: limit, base in pieces, type 9, present.
    gdt[task_selector / 8] = (sizeof(TaskState) - 1) | (task_base & 0xff'ffff) << 16 | 0x89ULL << 40 |
                             (task_base >> 24 & 0xff) << 56;
    gdt[task_selector / 8 + 1] = task_base >> 32;
    gdt[cpu_number_selector / 8] = cpu_number_descriptor | number;
    for (std::size_t i = 0; i < idt.size(); ++i) {
        const std::uint64_t stub = reinterpret_cast<std::uintptr_t>(pv_trap_stubs) + i * stub_size;
        idt[i] = {
            .offset_low = static_cast<std::uint16_t>(stub),
            .selector = kernel_code_selector,
            .ist = static_cast<std::uint8_t>(ist_for(i)),
            .type = i == vector_breakpoint || i == vector_overflow ? user_interrupt_gate : interrupt_gate,
            .offset_middle = static_cast<std::uint16_t>(stub >> 16),
            .offset_high = static_cast<std::uint32_t>(stub >> 32)};
    }
    const TablePointer gdt_pointer{sizeof gdt - 1, reinterpret_cast<std::uintptr_t>(gdt.data())};
    const TablePointer idt_pointer{sizeof idt - 1, reinterpret_cast<std::uintptr_t>(idt.data())};
    __asm__ volatile(
        "lgdt %[gdt]\n\t"
        "pushq %[code]\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "lretq\n"
        "1:\tmovl %[data], %%ds\n\t"
        "movl %[data], %%es\n\t"
        "movl %[data], %%ss\n\t"
        "ltr %w[task]\n\t"
        "lidt %[idt]"
        :
        : [gdt] "m"(gdt_pointer), [idt] "m"(idt_pointer), [code] "i"(kernel_code_selector),
          [data] "r"(std::uint32_t{kernel_data_selector}), [task] "r"(std::uint32_t{task_selector})
        : "rax", "memory");
}

void DescriptorTables::set_kernel_stack(std::uint64_t stack_top) {
    task.rsp[0] = stack_top;
}

void DescriptorTables::set_ist(Ist slot, std::uint64_t stack_top) {
    task.ist[static_cast<std::size_t>(slot) - 1] = stack_top;
}

}  // namespace pv::arch
