// Segment, task and interrupt descriptors of one processor.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

/// Intel SDM vol. 3 chapters 3.4, 6.14, 7.7.
namespace pv::arch {

inline constexpr std::uint16_t kernel_code_selector = 0x08;
inline constexpr std::uint16_t kernel_data_selector = 0x10;
/// Linux's numbers for user mode, which debuggers look at; in the order that SYSRET asks for.
inline constexpr std::uint16_t user_base_selector = 0x23;
inline constexpr std::uint16_t user_data_selector = 0x2b;
inline constexpr std::uint16_t user_code_selector = 0x33;
inline constexpr std::uint16_t task_selector = 0x40;
/// A segment of no use but its limit, the processor's number, which programs read (LSL); Linux's number too.
inline constexpr std::uint16_t cpu_number_selector = 0x7b;

/// Interrupt stack table slots: these must work whatever the current stack is like.
enum class Ist : std::uint8_t { none = 0, double_fault = 1, nmi = 2, machine_check = 3, debug = 4 };
inline constexpr std::size_t ist_count = 4;

struct [[gnu::packed]] TaskState {
    std::uint32_t reserved0 = 0;
    std::array<std::uint64_t, 3> rsp{};
    std::uint64_t reserved1 = 0;
    std::array<std::uint64_t, 7> ist{};
    std::uint64_t reserved2 = 0;
    std::uint16_t reserved3 = 0;
    std::uint16_t io_map = 104;  // beyond the limit: no port is open to user mode
};

static_assert(sizeof(TaskState) == 104);

struct Gate {
    std::uint16_t offset_low = 0;
    std::uint16_t selector = 0;
    std::uint8_t ist = 0;
    std::uint8_t type = 0;
    std::uint16_t offset_middle = 0;
    std::uint32_t offset_high = 0;
    std::uint32_t reserved = 0;
};

static_assert(sizeof(Gate) == 16);

struct DescriptorTables {
    std::array<std::uint64_t, 16> gdt{};
    TaskState task;
    alignas(16) std::array<Gate, 256> idt{};

    /// Fills all three and loads them. `number`: the processor's, below 2^12. `cpu`: what the GDT's first
    /// entry, which means nothing to a processor, is to hold for whoever must not trust %gs.
    void load(std::uint32_t number, const void* cpu);
    void set_ist(Ist slot, std::uint64_t stack_top);
    /// Where exceptions and interrupts of user mode begin.
    void set_kernel_stack(std::uint64_t stack_top);
};

}  // namespace pv::arch
