// Where another CPU begins: real mode in a page below 1 MiB, to 64-bit mode in the kernel (arch/x86_64/cpu_start.cpp).
// SPDX-License-Identifier: MIT
// Intel SDM vol. 3, 9.4.4: CS = page << 8, IP = 0. The code is copied there; it finds its data by its segment, and
// what depends on the place is filled in after copying (struct Trampoline in cpu_start.cpp).

    .section .rodata.trampoline, "a", @progbits
    .balign 16
    .globl pv_trampoline_begin
    .globl pv_trampoline_values
    .globl pv_trampoline_protected
    .globl pv_trampoline_long
    .globl pv_trampoline_end

    .code16
pv_trampoline_begin:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %cs, %bx
    shll $4, %ebx                       // where this page lies
    lgdtl (values_gdt_pointer - pv_trampoline_begin)
    movl $0x11, %eax                    // PE, ET: caches on (Intel SDM vol. 3, 9.1.1: CD and NW are set after INIT)
    movl %eax, %cr0
    ljmpl *(values_protected - pv_trampoline_begin)

    .code32
pv_trampoline_protected:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $(1 << 5), %eax                // PAE, and nothing else yet
    movl %eax, %cr4
    movl (values_cr3 - pv_trampoline_begin)(%ebx), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              // EFER: LME, NXE; the kernel's tables use NX
    rdmsr
    orl $((1 << 8) | (1 << 11)), %eax
    wrmsr
    movl $0x80010033, %eax              // CR0: PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    ljmpl *(values_long - pv_trampoline_begin)(%ebx)

    .code64
pv_trampoline_long:
    jmp *values_entry(%rip)

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            // 32-bit code
    .quad 0x00cf93000000ffff            // data
    .quad 0x00af9b000000ffff            // 64-bit code
gdt_end:
pv_trampoline_values:
values_gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt - pv_trampoline_begin     // + the page
values_protected:
    .long pv_trampoline_protected - pv_trampoline_begin // + the page
    .word 8
values_long:
    .long pv_trampoline_long - pv_trampoline_begin      // + the page
    .word 24
values_cr3:
    .long 0
values_entry:
    .quad 0                             // pv_cpu_entry
pv_trampoline_end:

    // In the kernel's own text, without a stack: is this the CPU that is expected? One that comes after its time
    // finds another's number, or none, and never goes on.
    .section .text
    .code64
    .globl pv_cpu_entry
    .type pv_cpu_entry, @function
pv_cpu_entry:
    xorl %eax, %eax
    cpuid
    cmpl $0xb, %eax
    jb 1f
    movl $0xb, %eax                     // the x2APIC id, where the leaf says anything (EBX != 0)
    xorl %ecx, %ecx
    cpuid
    movl %edx, %edi
    testl %ebx, %ebx
    jnz 2f
1:  movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %edi
2:  movl %edi, %eax
    btsq $32, %rax                      // pv_expected_cpu: bit 32 = somebody is expected; 0 = nobody, or it came
    xorl %ecx, %ecx
    lock cmpxchgq %rcx, pv_expected_cpu(%rip)
    jne 3f
    movq pv_expected_stack(%rip), %rsp
    xorl %ebp, %ebp
    pushq $0
    pushq $0
    call pv_cpu_main
3:  cli
    hlt
    jmp 3b
    .size pv_cpu_entry, . - pv_cpu_entry

    .section .note.GNU-stack, "", @progbits
