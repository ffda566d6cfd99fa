// Entries of all 256 vectors: one frame layout for exceptions and interrupts (arch/x86_64/trap.hpp).
// SPDX-License-Identifier: MIT
#include "arch/x86_64/trap_registers.inc"
#include "arch/x86_64/user_access.inc"

    .section .text
    .altmacro
    .macro pv_stub number
    .balign 16
    // These push an error code themselves (Intel SDM vol. 3, 6.15).
    .if (\number == 8) || ((\number >= 10) && (\number <= 14)) || (\number == 17) || (\number == 21) || (\number == 29) || (\number == 30)
    .else
    pushq $0
    .endif
    pushq $\number
    // On stacks of their own, at any moment: also where %gs is still or again the program's.
    .if (\number == 1)
    jmp trap_debug
    .elseif (\number == 2) || (\number == 8) || (\number == 18)
    jmp trap_anywhere
    .else
    jmp trap_common
    .endif
    .endm

    // The whole frame lies at %rsp; %rdi = it. Leaves %rbp on a frame for the back trace.
    .macro pv_call_trap
    pv_forbid_user_access
    cld
    movq %rsp, %rdi
    // Return address = where it was interrupted; a program's %rbp leads nowhere.
    testb $3, 144(%rsp)
    jz .Lkernel\@
    xorl %ebp, %ebp
.Lkernel\@:
    pushq 136(%rsp)
    pushq %rbp
    movq %rsp, %rbp
    subq $8, %rsp
    andq $-16, %rsp
    call pv_trap
    leaq 16(%rbp), %rsp
    .endm

    .balign 16
    .globl pv_trap_stubs
    .type pv_trap_stubs, @function
pv_trap_stubs:
    .set vector, 0
    .rept 256
    pv_stub %vector
    .set vector, vector + 1
    .endr
    .size pv_trap_stubs, . - pv_trap_stubs

    .type trap_common, @function
trap_common:
    testb $3, 24(%rsp)
    jz 1f
    swapgs
1:
trap_on_thread_stack:
    pv_save_registers
    pv_call_trap
    .globl pv_leave_trap
pv_leave_trap:
    pv_restore_registers
    addq $16, %rsp
    testb $3, 8(%rsp)
    jz 2f
    swapgs
2:  iretq
    .size trap_common, . - trap_common

    // A program's goes on where its other exceptions begin, on its thread's stack: there it may wait.
    .type trap_debug, @function
trap_debug:
    testb $3, 24(%rsp)
    jz trap_anywhere
    swapgs
    pushq %rax
    movq %rsp, %rax
    movq %gs:24, %rsp
    pushq 56(%rax)                      // SS, RSP, RFLAGS, CS, RIP, error code, vector
    pushq 48(%rax)
    pushq 40(%rax)
    pushq 32(%rax)
    pushq 24(%rax)
    pushq 16(%rax)
    pushq 8(%rax)
    movq (%rax), %rax
    jmp trap_on_thread_stack
    .size trap_debug, . - trap_debug

    .type trap_anywhere, @function
trap_anywhere:
    pv_save_registers
    // %rbx: the base of %gs, the kernel's or a program's, which may be any address. The right one is found without
    // it: the descriptor table's first entry, which no processor looks at, is the Cpu (descriptors.hpp).
    movl $0xc0000101, %ecx
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, %rbx
    subq $16, %rsp
    sgdt (%rsp)
    movq 2(%rsp), %rdx
    addq $16, %rsp
    movq (%rdx), %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    pv_call_trap
    movl $0xc0000101, %ecx
    movl %ebx, %eax
    movq %rbx, %rdx
    shrq $32, %rdx
    wrmsr
    pv_restore_registers
    addq $16, %rsp
    iretq
    .size trap_anywhere, . - trap_anywhere

    .section .note.GNU-stack, "", @progbits
