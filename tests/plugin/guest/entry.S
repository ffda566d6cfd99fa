// The test guest's start: PVH entry in 32-bit mode, long mode with 8 GiB mapped one to one, a second vCPU.
// SPDX-License-Identifier: MIT
#define CR0_PE_PG 0x80000001
#define CR4_PAE 0x20
#define EFER 0xc0000080
#define EFER_LME 0x100

    .section .note.pvh, "a", @note
    .long 4, 4, 18              // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long entry

    .text
    .code32
    .global entry
entry:
    cli
    mov $stack_top, %esp
    mov %ebx, %edi              // struct hvm_start_info, kept for main
    call long_mode
    ljmp $8, $1f
    .code64
1:  xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %edi, %edi
    call main
2:  hlt
    jmp 2b

    .code32
long_mode:
    mov $CR4_PAE, %eax
    .global write_cr4
write_cr4:
    mov %eax, %cr4
    mov $pml4, %eax
    .global write_cr3
write_cr3:
    mov %eax, %cr3
    mov $EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov $CR0_PE_PG, %eax
    .global write_cr0
write_cr0:
    mov %eax, %cr0
    lgdt gdt_pointer
    ret

// Copied to 0x8000, where a start-up interrupt with vector 8 begins in real mode.
    .global ap_start, ap_end
    .code16
ap_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl (ap_gdt_pointer - ap_start + 0x8000)
    mov $1, %eax
    mov %eax, %cr0
    ljmpl $16, $(ap_32 - ap_start + 0x8000)
    .code32
ap_32:
    mov $24, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $ap_stack_top, %esp
    call *ap_long_mode - ap_start + 0x8000
    ljmp $8, $(ap_64 - ap_start + 0x8000)
    .code64
ap_64:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $ap_main, %rax
    call *%rax
1:  hlt
    jmp 1b
    .balign 4
ap_long_mode: .long long_mode
ap_gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
ap_end:

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // 8: 64-bit code
    .quad 0x00cf9b000000ffff    // 16: 32-bit code
    .quad 0x00cf93000000ffff    // 24: data
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .data
    .balign 4096
pml4:
    .quad pdpt + 7
    .fill 511, 8, 0
pdpt:
    .set i, 0
    .rept 8
    .quad pd + i * 4096 + 7
    .set i, i + 1
    .endr
    .fill 504, 8, 0
pd:
    .set i, 0
    .rept 8 * 512
    .quad i * 0x200000 + 0x87   // 2 MiB pages, present, writable, user
    .set i, i + 1
    .endr

    .bss
    .balign 16
    .skip 16384
stack_top:
    .skip 4096
ap_stack_top:
    .section .note.GNU-stack, "", @progbits
