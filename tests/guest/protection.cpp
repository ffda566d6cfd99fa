// What the page tables and the processor forbid: write xor execute, SMEP, SMAP, guard pages, null.
// SPDX-License-Identifier: MIT
#include <cstring>
#include <utility>

#include "arch/processor.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/debug_registers.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/kernel_space.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/stack.hpp"
#include "arch/x86_64/trap.hpp"
#include "base/log.hpp"
#include "boot/tests.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"

namespace pv::guest_test {
namespace {

using arch::Fault;

constexpr std::uint8_t ret_instruction = 0xc3;
constexpr VirtualAddress user_address{0x40'0000};

void write_byte(void* at) {
    *static_cast<volatile std::uint8_t*>(at) = 0;
}

void read_byte(void* at) {
    static_cast<void>(*static_cast<volatile std::uint8_t*>(at));
}

void call(void* at) {
    reinterpret_cast<void (*)()>(at)();
}

void* pointer(std::uint64_t address) {
    return reinterpret_cast<void*>(address);
}

bool is_page_fault(const std::optional<Fault>& fault, std::uint64_t address, std::uint64_t bits) {
    return fault && fault->vector == arch::vector_page_fault && fault->address == address &&
           (fault->error_code & (arch::fault_present | arch::fault_write | arch::fault_fetch)) == bits;
}

}  // namespace

PV_GUEST_TEST(write_xor_execute) {
    std::uint64_t leaves = 0;
    std::uint64_t executable = 0;
    std::uint64_t wrong = 0;
    const std::uint64_t fixed_begin = arch::image_physical(pv_text_start).value();
    const std::uint64_t fixed_end = arch::image_physical(pv_rodata_end).value();
    arch::kernel_page_table().for_each([&](const arch::Leaf& leaf) {
        ++leaves;
        executable += leaf.executable ? 1 : 0;
        const std::uint64_t begin = leaf.physical.value();
        const bool covers_fixed = begin < fixed_end && fixed_begin < begin + leaf.size;
        const bool in_text = leaf.address.value() >= arch::address_of(pv_text_start) &&
                             leaf.address.value() < arch::address_of(pv_text_end);
        const bool bad = (leaf.writable && leaf.executable) || (leaf.writable && covers_fixed) || leaf.user ||
                         (leaf.executable && !in_text) || leaf.address.value() < arch::memory_half;
        if (bad) {
            ++wrong;
            log::error("page {}: physical {}, size {:#x}, writable {}, executable {}, user {}", leaf.address,
                       leaf.physical, leaf.size, leaf.writable, leaf.executable, leaf.user);
        }
    });
    log::info("walked {} pages: {} executable, none of them writable by any alias", leaves, executable);
    PV_EXPECT(wrong == 0);
    PV_EXPECT(executable * page_size >= arch::address_of(pv_text_end) - arch::address_of(pv_text_start));
    PV_EXPECT(leaves > executable);
}

PV_GUEST_TEST(text_is_read_only) {
    const auto text = arch::address_of(pv_text_start);
    const auto constants = arch::address_of(pv_rodata_start);
    const std::uint64_t bits = arch::fault_present | arch::fault_write;
    PV_EXPECT(is_page_fault(arch::probe(write_byte, pointer(text)), text, bits));
    PV_EXPECT(is_page_fault(arch::probe(write_byte, pointer(constants)), constants, bits));
    // The same frames through the direct map.
    auto* alias = memory::to_pointer(arch::image_physical(pv_text_start));
    PV_EXPECT(is_page_fault(arch::probe(write_byte, alias), reinterpret_cast<std::uintptr_t>(alias), bits));
    PV_EXPECT(!arch::probe(read_byte, alias));
}

PV_GUEST_TEST(data_does_not_execute) {
    auto frames = memory::Frames::allocate(0);
    PV_EXPECT(frames.has_value());
    auto* code = frames->bytes().data();
    std::memset(code, ret_instruction, page_size);
    PV_EXPECT(is_page_fault(arch::probe(call, code), reinterpret_cast<std::uintptr_t>(code),
                            arch::fault_present | arch::fault_fetch));
}

PV_GUEST_TEST(user_pages_are_out_of_reach) {
    auto frames = memory::Frames::allocate(0);
    PV_EXPECT(frames.has_value());
    std::memset(frames->bytes().data(), ret_instruction, page_size);
    const auto mapped =
        arch::map_pages(user_address, frames->address(), page_size, arch::Access::read_execute,
                        arch::Cache::write_back, arch::Owner::user);
    PV_EXPECT(mapped.has_value());
    PV_EXPECT(is_page_fault(arch::probe(call, pointer(user_address.value())), user_address.value(),
                            arch::fault_present | arch::fault_fetch));  // SMEP
    PV_EXPECT(is_page_fault(arch::probe(read_byte, pointer(user_address.value())), user_address.value(),
                            arch::fault_present));  // SMAP
    arch::unmap_pages(user_address, page_size);
    PV_EXPECT(is_page_fault(arch::probe(read_byte, pointer(user_address.value())), user_address.value(), 0));
}

PV_GUEST_TEST(guard_page) {
    const auto stack = arch::allocate_stack();
    PV_EXPECT(stack.has_value());
    PV_EXPECT(!arch::probe(write_byte, pointer(stack->top - arch::stack_bytes)));
    const std::uint64_t below = stack->top - arch::stack_bytes - 1;
    PV_EXPECT(is_page_fault(arch::probe(write_byte, pointer(below)), below, arch::fault_write));
    PV_EXPECT(is_page_fault(arch::probe(read_byte, pointer(stack->guard())), stack->guard(), 0));
    arch::free_stack(*stack);
    for (const char* guard : {pv_boot_stack_guard, pv_early_ist_guard}) {
        const std::uint64_t at = arch::address_of(guard);
        PV_EXPECT(is_page_fault(arch::probe(read_byte, pointer(at)), at, 0));
    }
}

// The tests from here on end in a panic, which the runner reads.

[[gnu::noinline]] std::uint64_t descend_for_ever(std::uint64_t depth) {
    volatile std::uint64_t here[32] = {depth};
    return depth == ~std::uint64_t{0} ? 0 : descend_for_ever(depth + 1) + here[0];
}

PV_GUEST_TEST(stack_overflow) {
    volatile std::uint64_t depth = 0;
    log::info("{}", descend_for_ever(depth));
}

[[gnu::noinline]] std::uint8_t read_through_null(const volatile std::uint8_t* pointer) {
    return *pointer;
}

PV_GUEST_TEST(null_dereference) {
    const std::uint8_t* volatile nothing = nullptr;
    log::info("{}", read_through_null(nothing));
}

[[gnu::noinline]] std::uint64_t divide(std::uint64_t a, std::uint64_t b) {
    return a / b;
}

PV_GUEST_TEST(divide_by_zero) {
    volatile std::uint64_t zero = 0;
    log::info("{}", divide(1, zero));
}

PV_GUEST_TEST(double_free) {
    const auto frames = memory::allocate_frames(0);
    PV_EXPECT(frames.has_value());
    memory::free_frames(*frames, 0);
    memory::free_frames(*frames, 0);
}

namespace {

// Writes `at` as a program's register values are still in the kernel behind SYSCALL: %gs and the stack are no
// addresses of the kernel's. One block: the compiler knows nothing of it.
void write_as_at_entry(std::uint64_t* at) {
    __asm__ volatile(
        "movl $0xc0000101, %%ecx\n\t"
        "rdmsr\n\t"
        "movq %%rax, %%r12\n\t"
        "movq %%rdx, %%r13\n\t"
        "movl $0x1000, %%eax\n\t"
        "xorl %%edx, %%edx\n\t"
        "wrmsr\n\t"
        "movq %%rsp, %%r14\n\t"
        "movl $0x2000, %%esp\n\t"
        "movq $1, (%[at])\n\t"
        "movq %%r14, %%rsp\n\t"
        "movq %%r12, %%rax\n\t"
        "movq %%r13, %%rdx\n\t"
        "wrmsr"
        :
        : [at] "r"(at)
        : "rax", "rcx", "rdx", "r12", "r13", "r14", "memory", "cc");
}

}  // namespace

// What a program can bring about where a processor keeps the exception of a MOV to SS until after SYSCALL.
PV_GUEST_TEST(debug_exception_at_entry) {
    constexpr std::uint64_t told_before = arch::DebugRegisters::status_reserved | 8;
    constexpr std::uint64_t write_of_8_bytes = 1 | 9 << 16;
    alignas(8) std::uint64_t word = 0;
    const arch::InterruptsOff off;
    arch::Gate& gate = arch::this_cpu().tables.idt[arch::vector_debug];
    const std::uint8_t kept = std::exchange(gate.ist, static_cast<std::uint8_t>(arch::Ist::debug));
    PV_EXPECT(arch::debug_exceptions_nest() == (kept == 0));
    arch::write_dr0(reinterpret_cast<std::uintptr_t>(&word));
    arch::write_dr6(told_before);
    arch::write_dr7(write_of_8_bytes);
    write_as_at_entry(&word);
    arch::write_dr7(0);
    gate.ist = kept;
    PV_EXPECT(word == 1);
    PV_EXPECT(arch::read_dr6() == arch::DebugRegisters::status_reserved);
}

}  // namespace pv::guest_test
