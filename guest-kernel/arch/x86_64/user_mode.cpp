// User mode: what of a program's thread the processor holds.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/user_mode.hpp"

#include <cstring>
#include <new>
#include <utility>

#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/atomic.hpp"
#include "base/panic.hpp"
#include "task/control_block.hpp"
#include "task/scheduler.hpp"

extern "C" {
extern const char pv_system_call_entry[];
extern const std::uint64_t pv_user_access_begin[], pv_user_access_end[];
[[noreturn]] void pv_enter_user(pv::arch::TrapFrame* to, const pv::arch::TrapFrame* from);
std::size_t pv_copy_user(void* to, const void* from, std::size_t length);
bool pv_load_user(const std::uint32_t* at, std::uint32_t* value);
bool pv_exchange_user(std::uint32_t* at, std::uint32_t* expected, std::uint32_t desired);
}

namespace pv::arch {
namespace {

constexpr std::uint64_t component_x87 = 1;
constexpr std::uint64_t component_sse = 2;
constexpr std::uint64_t component_avx = 4;
constexpr std::size_t legacy_size = 512;
constexpr std::size_t header_size = 64;
constexpr std::size_t alignment = 64;
constexpr std::uint16_t initial_x87_control = 0x37f;
constexpr std::uint32_t initial_sse_control = 0x1f80;
constexpr std::size_t sse_control_offset = 24;
constexpr std::size_t sse_mask_offset = 28;

// The same on all processors; set by the first one.
constinit std::size_t state_size = 0;
constinit std::uint64_t components = 0;  ///< 0: FXSAVE
constinit std::uint32_t sse_control_mask = 0xffbf;
constinit bool has_base_instructions = false;
constinit Atomic<std::uint64_t> last_id{0};

void save(std::byte* to) {
    if (components != 0) {
        __asm__ volatile("xsave64 (%0)" ::"r"(to), "a"(static_cast<std::uint32_t>(components)),
                         "d"(static_cast<std::uint32_t>(components >> 32))
                         : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" ::"r"(to) : "memory");
    }
}

void load(const std::byte* from) {
    if (components != 0) {
        __asm__ volatile("xrstor64 (%0)" ::"r"(from), "a"(static_cast<std::uint32_t>(components)),
                         "d"(static_cast<std::uint32_t>(components >> 32))
                         : "memory");
    } else {
        __asm__ volatile("fxrstor64 (%0)" ::"r"(from) : "memory");
    }
}

// The program's %gs is the one not in force: the kernel's is.
std::uint64_t read_gs_base() {
    std::uint64_t base = 0;
    __asm__ volatile("swapgs\n\trdgsbase %0\n\tswapgs" : "=r"(base)::"memory");
    return base;
}

void write_gs_base(std::uint64_t base) {
    __asm__ volatile("swapgs\n\twrgsbase %0\n\tswapgs" ::"r"(base) : "memory");
}

void take_bases(UserState& self) {
    if (has_base_instructions) {
        __asm__ volatile("rdfsbase %0" : "=r"(self.fs_base));
        self.gs_base = read_gs_base();
    }
}

void put_bases(const UserState& self) {
    if (has_base_instructions) {
        __asm__ volatile("wrfsbase %0" ::"r"(self.fs_base));
        write_gs_base(self.gs_base);
    } else {
        write_msr(Msr::fs_base, self.fs_base);
        write_msr(Msr::kernel_gs_base, self.gs_base);
    }
}

// Almost always neither has any.
void put_debug(Cpu& cpu, const DebugRegisters& of) {
    if ((cpu.user.debug_control | of.in_force()) != 0) [[unlikely]] {
        load_debug_registers(cpu, of);
    }
}

void load_root(Cpu& cpu, UserTables* tables) {
    UserTables* before = cpu.user.tables;
    if (before == tables && !cpu.user.tables_rest) {
        return;
    }
    const bool rested = std::exchange(cpu.user.tables_rest, false);
    if (tables != nullptr) {
        tables->enter(cpu.index);
    }
    write_cr3(tables != nullptr ? tables->root().value() : kernel_page_table().root().value());
    if (before == tables) {
        return;
    }
    if (tables != nullptr) {
        tables->add_owner();
    }
    cpu.user.tables = tables;
    if (before != nullptr) {
        if (!rested) {
            before->leave(cpu.index);
        }
        before->drop_owner();
    }
}

}  // namespace

VectorState::~VectorState() {
    ::operator delete(data_, std::align_val_t{alignment});
}

Result<> VectorState::allocate() {
    data_ = static_cast<std::byte*>(::operator new(state_size, std::align_val_t{alignment}, std::nothrow));
    if (data_ == nullptr) {
        return fail(Error::out_of_memory);
    }
    reset();
    return {};
}

void VectorState::reset() {
    // All components in their initial state (XSTATE_BV is zero), but for the two control words.
    std::memset(data_, 0, state_size);
    std::memcpy(data_, &initial_x87_control, sizeof initial_x87_control);
    std::memcpy(data_ + sse_control_offset, &initial_sse_control, sizeof initial_sse_control);
}

std::size_t VectorState::size() {
    return state_size;
}

bool VectorState::adopt(std::span<const std::byte> from) {
    if (from.size() < state_size) {
        return false;
    }
    std::uint32_t control = 0;
    std::memcpy(&control, from.data() + sse_control_offset, sizeof control);
    if ((control & ~sse_control_mask) != 0) {
        return false;
    }
    if (components != 0) {
        std::uint64_t header[header_size / sizeof(std::uint64_t)];
        std::memcpy(header, from.data() + legacy_size, sizeof header);
        std::uint64_t reserved = header[0] & ~components;
        for (std::size_t i = 1; i < std::size(header); ++i) {
            reserved |= header[i];
        }
        if (reserved != 0) {
            return false;
        }
    }
    std::memcpy(data_, from.data(), state_size);
    return true;
}

std::uint64_t next_user_id() {
    return last_id.fetch_add(1, std::memory_order_relaxed) + 1;
}

void start_user_mode() {
    write_msr(Msr::efer, read_msr(Msr::efer) | efer_syscall);
    write_msr(Msr::star, std::uint64_t{user_base_selector} << 48 | std::uint64_t{kernel_code_selector} << 32);
    write_msr(Msr::lstar, reinterpret_cast<std::uintptr_t>(pv_system_call_entry));
    // All flags but the one that is always set: nothing a program does to its flags reaches the kernel.
    write_msr(Msr::fmask, 0x0025'7fd5);
    // RDTSCP and RDPID need it as the segment's limit that the vdso reads has it.
    constexpr std::uint32_t rdtscp = 1U << 27;  // CPUID.8000'0001 EDX
    constexpr std::uint32_t rdpid = 1U << 22;   // CPUID.7.0 ECX
    if ((cpuid(0x8000'0001).edx & rdtscp) != 0 || (cpuid(0).eax >= 7 && (cpuid(7).ecx & rdpid) != 0)) {
        write_msr(Msr::tsc_aux, this_cpu().index);
    }

    write_dr7(0);

    // CPUID.1 ECX: bit 26 XSAVE, bit 28 AVX. x87 and SSE belong to every 64-bit processor.
    const Cpuid features = cpuid(1);
    std::uint64_t cr4 = read_cr4() | cr4_fxsr | cr4_simd_exceptions;
    if ((features.ecx & 1U << 26) != 0) {
        cr4 |= cr4_xsave;
    }
    // CPUID.7.0 EBX bit 0.
    const bool has_bases = cpuid(0).eax >= 7 && (cpuid(7).ebx & 1U) != 0;
    if (has_bases) {
        cr4 |= cr4_base_instructions;
    }
    write_cr4(cr4);
    constexpr std::uint64_t cr0_monitor = 1ULL << 1;
    constexpr std::uint64_t cr0_emulate = 1ULL << 2;
    constexpr std::uint64_t cr0_switched = 1ULL << 3;
    constexpr std::uint64_t cr0_numeric_error = 1ULL << 5;
    write_cr0((read_cr0() & ~(cr0_emulate | cr0_switched)) | cr0_monitor | cr0_numeric_error);
    std::size_t size = legacy_size;
    std::uint64_t use = 0;
    if ((cr4 & cr4_xsave) != 0) {
        use = component_x87 | component_sse;
        if ((features.ecx & 1U << 28) != 0 && (cpuid(0xd).eax & component_avx) != 0) {
            use |= component_avx;
        }
        __asm__ volatile("xsetbv" ::"c"(0), "a"(static_cast<std::uint32_t>(use)),
                         "d"(static_cast<std::uint32_t>(use >> 32)));
        size = cpuid(0xd).ebx;
    }
    if (state_size == 0) {
        state_size = size;
        components = use;
        has_base_instructions = has_bases;
        alignas(16) std::array<std::byte, legacy_size> sample{};
        __asm__ volatile("fninit\n\tfxsave64 %0" : "=m"(sample));
        std::uint32_t mask = 0;
        std::memcpy(&mask, sample.data() + sse_mask_offset, sizeof mask);
        sse_control_mask = mask != 0 ? mask : sse_control_mask;
    } else if (size != state_size || use != components || has_bases != has_base_instructions) {
        panic("processor {} has other registers than the first one", this_cpu().index);
    }
}

void switch_user(Cpu& cpu, UserState* from, UserState* to, std::uint64_t stack_top) {
    if (from != nullptr && !from->is_held && from->vectors.bytes().data() != nullptr) {
        take_bases(*from);
        save(from->vectors.bytes().data());
        from->vectors_on = cpu.index;
        cpu.user.vector_owner = from->id;
    }
    if (to == nullptr) {
        return;
    }
    cpu.kernel_stack = stack_top;
    cpu.tables.set_kernel_stack(stack_top);
    load_root(cpu, to->tables.get());
    put_bases(*to);
    put_debug(cpu, to->debug);
    if (cpu.user.vector_owner != to->id || to->vectors_on != cpu.index) {
        load(to->vectors.bytes().data());
        cpu.user.vector_owner = to->id;
    }
    // From now on the registers are newer than the state.
    to->vectors_on = cpu.index;
}

bool rest_tables() {
    UserCpu& held = this_cpu().user;
    if (running_user() != nullptr || held.tables == nullptr) {
        return false;
    }
    if (!held.tables_rest) {
        write_cr3(kernel_page_table().root().value());
        held.tables->leave(this_cpu().index);
        held.tables_rest = true;
    }
    return true;
}

void change_tables(UserState& self, Ref<UserTables> tables) {
    {
        const InterruptsOff off;
        std::swap(self.tables, tables);
        load_root(this_cpu(), self.tables.get());
    }
}

void save_bases(UserState& self) {
    const InterruptsOff off;
    take_bases(self);
}

void set_bases(UserState& self, std::uint64_t fs, std::uint64_t gs) {
    const InterruptsOff off;
    self.fs_base = fs;
    self.gs_base = gs;
    put_bases(self);
}

bool programs_set_bases() {
    return has_base_instructions;
}

void save_vectors(UserState& self) {
    const InterruptsOff off;
    save(self.vectors.bytes().data());
}

void load_vectors(UserState& self) {
    const InterruptsOff off;
    load(self.vectors.bytes().data());
}

void hold_registers(UserState& self) {
    const InterruptsOff off;
    take_bases(self);
    save(self.vectors.bytes().data());
    self.is_held = true;
}

void release_registers(UserState& self) {
    const InterruptsOff off;
    self.is_held = false;
    put_bases(self);
    put_debug(this_cpu(), self.debug);
    load(self.vectors.bytes().data());
}

void load_debug(UserState& self) {
    const InterruptsOff off;
    put_debug(this_cpu(), self.debug);
}

std::uint32_t x87_exceptions() {
    std::uint16_t status = 0;
    std::uint16_t control = 0;
    asm volatile("fnstsw %0; fnstcw %1" : "=m"(status), "=m"(control));
    return status & ~std::uint32_t{control} & 0x3f;
}

std::uint32_t vector_exceptions() {
    std::uint32_t status = 0;
    asm volatile("stmxcsr %0" : "=m"(status));
    return status & ~(status >> 7) & 0x3f;
}

UserState* running_user() {
    task::ControlBlock* thread = running_thread();
    return thread == nullptr ? nullptr : thread->user;
}

TrapFrame& user_frame() {
    return *reinterpret_cast<TrapFrame*>(running_thread()->stack.top - sizeof(TrapFrame));
}

void begin_user(UserState& self) {
    const InterruptsOff off;
    task::ControlBlock& thread = *running_thread();
    thread.user = &self;
    switch_user(this_cpu(), nullptr, &self, thread.stack.top);
}

void enter_user_mode(const TrapFrame& frame) {
    disable_interrupts();
    // Whatever is asked of the thread already is done by the interrupt that comes with the first instruction.
    LocalApic::interrupt_self(vector_reschedule);
    pv_enter_user(&user_frame(), &frame);
}

void leave_user_state() {
    const InterruptsOff off;
    put_debug(this_cpu(), {});
    running_thread()->user = nullptr;
}

std::size_t copy_from_user(void* to, UserAddress from, std::size_t length) {
    return pv_copy_user(to, reinterpret_cast<const void*>(from.value()), length);
}

std::size_t copy_to_user(UserAddress to, const void* from, std::size_t length) {
    return pv_copy_user(reinterpret_cast<void*>(to.value()), from, length);
}

bool compare_exchange_user(UserAddress at, std::uint32_t& expected, std::uint32_t desired) {
    return pv_exchange_user(reinterpret_cast<std::uint32_t*>(at.value()), &expected, desired);
}

bool load_user(UserAddress at, std::uint32_t& value) {
    return pv_load_user(reinterpret_cast<const std::uint32_t*>(at.value()), &value);
}

std::uint64_t user_access_resume(std::uint64_t rip) {
    for (const std::uint64_t* entry = pv_user_access_begin; entry < pv_user_access_end; entry += 2) {
        if (entry[0] == rip) {
            return entry[1];
        }
    }
    return 0;
}

}  // namespace pv::arch
