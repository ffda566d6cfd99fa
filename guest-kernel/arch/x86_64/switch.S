// Context switch, thread start, and the guarded call whose fault is reported instead of fatal.
// SPDX-License-Identifier: MIT

    .section .text

    // void pv_switch(std::uint64_t* save_rsp, std::uint64_t load_rsp)
    .globl pv_switch
    .type pv_switch, @function
pv_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size pv_switch, . - pv_switch

    // First return of pv_switch into a new thread; rbp = 0 ends its back trace.
    .globl pv_thread_start
    .type pv_thread_start, @function
pv_thread_start:
    xorl %ebp, %ebp
    pushq $0
    call pv_thread_main
    ud2
    .size pv_thread_start, . - pv_thread_start

    // std::uint64_t pv_probe_call(ProbeState*, void (*)(void*), void*): 0, or what the trap handler left in rax
    .globl pv_probe_call
    .type pv_probe_call, @function
pv_probe_call:
    pushq %rbp
    movq %rsp, %rbp
    movq %rbx, 0(%rdi)
    movq %rbp, 8(%rdi)
    movq %r12, 16(%rdi)
    movq %r13, 24(%rdi)
    movq %r14, 32(%rdi)
    movq %r15, 40(%rdi)
    movq %rsp, 48(%rdi)
    leaq 1f(%rip), %rax
    movq %rax, 56(%rdi)
    movq %rdx, %rdi
    call *%rsi
    xorl %eax, %eax
1:  popq %rbp
    ret
    .size pv_probe_call, . - pv_probe_call

    .section .note.GNU-stack, "", @progbits
