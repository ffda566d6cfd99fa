// SYSCALL's entry, the way into user mode, and the copies to and from it.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/trap_registers.inc"
#include "arch/x86_64/user_access.inc"

#define USER_DATA 0x2b
#define USER_CODE 0x33
#define SYSTEM_CALL 0x100

    .section .text

    // Interrupts, traps, direction and AC are off (FMASK). A debug exception may come all the same: debug_registers.hpp.
    .globl pv_system_call_entry
    .type pv_system_call_entry, @function
pv_system_call_entry:
    swapgs
    movq %rsp, %gs:16
    movq %gs:24, %rsp
    pushq $USER_DATA
    pushq %gs:16
    pushq %r11
    pushq $USER_CODE
    pushq %rcx
    pushq %rax
    pushq $SYSTEM_CALL
    pv_save_registers
    sti
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call pv_system_call
    // Interrupts are off; %al: whether all registers must be as in the frame.
    testb %al, %al
    jnz pv_leave_trap
    // The others are the program's still: the call kept them, as every function does. Offsets as
    // pv_save_registers pushed them, then the vector, the error code and what IRET takes.
    movq 40(%rsp), %r10
    movq 48(%rsp), %r9
    movq 56(%rsp), %r8
    movq 64(%rsp), %rbp
    movq 72(%rsp), %rdi
    movq 80(%rsp), %rsi
    movq 88(%rsp), %rdx
    movq 112(%rsp), %rax
    movq 136(%rsp), %rcx
    movq 152(%rsp), %r11
    movq 160(%rsp), %rsp
    swapgs
    sysretq
    .size pv_system_call_entry, . - pv_system_call_entry

    // void pv_enter_user(TrapFrame* to, const TrapFrame* from): interrupts are off; `to` is the top of the stack,
    // where nothing is needed any more
    .globl pv_enter_user
    .type pv_enter_user, @function
pv_enter_user:
    // From the last word on: `from` lies lower on the same stack, and may overlap.
    movq %rdi, %rax
    movl $22, %ecx
    leaq 21 * 8(%rdi), %rdi
    leaq 21 * 8(%rsi), %rsi
    std
    rep movsq
    cld
    movq %rax, %rsp
    jmp pv_leave_trap
    .size pv_enter_user, . - pv_enter_user

    // std::size_t pv_copy_user(void* to, const void* from, std::size_t length): bytes left
    .globl pv_copy_user
    .type pv_copy_user, @function
pv_copy_user:
    movq %rdx, %rcx
    pv_allow_user_access
    cmpq $8, %rcx
    jb 2f
    shrq $3, %rcx
    andl $7, %edx
pv_copy_user_words:
    rep movsq
    movl %edx, %ecx
2:
pv_copy_user_bytes:
    rep movsb
pv_copy_user_end:
    pv_forbid_user_access
    movq %rcx, %rax
    ret
    // A fault among words: what is left of them, and the bytes after them.
pv_copy_user_words_fault:
    leaq (%rdx, %rcx, 8), %rcx
    jmp pv_copy_user_end
    .size pv_copy_user, . - pv_copy_user

    // bool pv_exchange_user(std::uint32_t* at, std::uint32_t* expected, std::uint32_t desired)
    .globl pv_exchange_user
    .type pv_exchange_user, @function
pv_exchange_user:
    movl (%rsi), %eax
    pv_allow_user_access
pv_exchange_user_word:
    lock cmpxchgl %edx, (%rdi)
    movl $1, %edi
pv_exchange_user_end:
    pv_forbid_user_access
    movl %eax, (%rsi)
    movl %edi, %eax
    ret
pv_exchange_user_fault:
    xorl %edi, %edi
    jmp pv_exchange_user_end
    .size pv_exchange_user, . - pv_exchange_user

    // bool pv_load_user(const std::uint32_t* at, std::uint32_t* value): one load, never torn
    .globl pv_load_user
    .type pv_load_user, @function
pv_load_user:
    pv_allow_user_access
pv_load_user_word:
    movl (%rdi), %ecx
    movl $1, %eax
pv_load_user_end:
    pv_forbid_user_access
    movl %ecx, (%rsi)
    ret
pv_load_user_fault:
    xorl %eax, %eax
    xorl %ecx, %ecx
    jmp pv_load_user_end
    .size pv_load_user, . - pv_load_user

    // Instructions that may fault, and where they go on then.
    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl pv_user_access_begin
pv_user_access_begin:
    .quad pv_copy_user_words, pv_copy_user_words_fault
    .quad pv_copy_user_bytes, pv_copy_user_end
    .quad pv_exchange_user_word, pv_exchange_user_fault
    .quad pv_load_user_word, pv_load_user_fault
    .globl pv_user_access_end
pv_user_access_end:

    .section .note.GNU-stack, "", @progbits
