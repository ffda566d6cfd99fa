// Entries of all 256 vectors: one frame layout for exceptions and interrupts (arch/x86_64/trap.hpp).
// SPDX-License-Identifier: MIT

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
    jmp trap_common
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
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    // A frame for the back trace: return address = where it was interrupted.
    pushq 136(%rsp)
    pushq %rbp
    movq %rsp, %rbp
    subq $8, %rsp
    andq $-16, %rsp
    call pv_trap
    leaq 16(%rbp), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq
    .size trap_common, . - trap_common
