// PVH entry: 32-bit protected mode to the kernel's place in the upper half, write xor execute from the first table.
// SPDX-License-Identifier: MIT
// Xen's "PVH" boot protocol (docs/misc/pvh.pandoc): flat 32-bit segments, paging off, %ebx = start info.
// First 64-bit code where the image lies in memory (place.cpp), which chooses its place among the addresses and fills
// in the last tables; then there.

#define LOAD_ADDRESS 0x200000 /* kernel.ld */
#define RELATIVE(symbol) ((symbol) - pv_entry)(%ebp) /* where it lies */
#define PRESENT 0x001
#define WRITE 0x002
#define HUGE 0x080
#define NX_HIGH 0x80000000 /* bit 63, in the upper half of an entry */

    .section .note.Xen, "a", @note
    .balign 4
    .long 4              // name size
    .long 8              // descriptor size
    .long 18             // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .balign 4            // here kernel.ld puts the value: an address that no relocation touches

    .section .boot_tables, "aw", @nobits
    .balign 4096
    .globl pv_boot_tables
pv_boot_tables:                     // struct BootTables in place.cpp
boot_pml4:          .skip 4096
boot_pdpt_low:      .skip 4096
boot_pd_low:        .skip 4096
boot_pdpt_direct:   .skip 4096
boot_pd_direct:     .skip 4096
boot_pdpt_image:    .skip 4096
boot_pd_image:      .skip 2 * 4096
boot_pt_image:      .skip 8 * 4096

    // Where the parts of the kernel's half lie (struct Layout in layout.hpp): written once, by place.cpp, before any
    // page of it is read-only.
    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl pv_layout
pv_layout:
    .globl pv_direct_map_base
pv_direct_map_base:
    .quad 0xffff800000000000
    .quad 0xffffc00000000000
    .quad 0

    .section .text.entry, "ax", @progbits
    .code32
    .globl pv_entry
    .type pv_entry, @function
pv_entry:
    cli
    cld
    movl $LOAD_ADDRESS, %ebp            // where pv_entry lies: the image's first byte

    leal RELATIVE(pv_bss_start), %edi
    leal RELATIVE(pv_bss_end), %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl
    leal RELATIVE(pv_boot_stack_top), %esp
    pushl $0
    pushl %ebx                          // start info, for 64-bit code to pop

    // Long mode and no-execute, or nothing of this kernel holds (AMD APM vol. 3, CPUID 8000_0001h EDX).
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb unsupported
    movl $0x80000001, %eax
    cpuid
    andl $((1 << 29) | (1 << 20)), %edx
    cmpl $((1 << 29) | (1 << 20)), %edx
    jne unsupported

    // The upper levels: the image where it lies, and the direct map at its linked base.
    leal RELATIVE(boot_pml4), %edi
    leal PRESENT + WRITE + RELATIVE(boot_pdpt_low), %eax
    movl %eax, (%edi)
    leal PRESENT + WRITE + RELATIVE(boot_pdpt_direct), %eax
    movl %eax, 256 * 8(%edi)
    leal PRESENT + WRITE + RELATIVE(boot_pd_low), %eax
    movl %eax, RELATIVE(boot_pdpt_low)
    leal PRESENT + WRITE + RELATIVE(boot_pd_direct), %eax
    movl %eax, RELATIVE(boot_pdpt_direct)
    leal RELATIVE(boot_pd_low), %edi
    leal PRESENT + WRITE + RELATIVE(boot_pt_image), %eax
    xorl %ecx, %ecx
1:  movl %eax, (%edi,%ecx,8)
    addl $4096, %eax
    incl %ecx
    cmpl $8, %ecx
    jb 1b

    // The image: text read and execute, the rest read and write: constants become read-only when the addresses in
    // them are what they shall be.
    leal RELATIVE(boot_pt_image), %edi
    leal RELATIVE(pv_text_start), %esi
    leal RELATIVE(pv_rodata_start), %ebx
2:  movl %esi, %ecx
    shrl $12, %ecx
    movl %esi, %eax
    orl $PRESENT, %eax
    xorl %edx, %edx
    cmpl %ebx, %esi
    jb 3f
    orl $WRITE, %eax
    movl $NX_HIGH, %edx
3:  movl %eax, (%edi,%ecx,8)
    movl %edx, 4(%edi,%ecx,8)
    addl $4096, %esi
    leal RELATIVE(pv_image_end), %eax
    cmpl %eax, %esi
    jb 2b

    // The first GiB where the direct map will be, read and write, no execute, without the image's 2 MiB pages:
    // no writable alias of text. What is RAM of it, the memory map tells later.
    leal RELATIVE(boot_pd_direct), %edi
    leal RELATIVE(pv_image_end), %ebx
    xorl %ecx, %ecx
    movl $(PRESENT + WRITE + HUGE), %eax
4:  cmpl %ebp, %eax
    jb 5f
    cmpl %ebx, %eax
    jb 6f
5:  movl %eax, (%edi,%ecx,8)
    movl $NX_HIGH, 4(%edi,%ecx,8)
6:  addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jb 4b

    movl %cr4, %eax
    orl $(1 << 5), %eax                 // PAE
    movl %eax, %cr4
    leal RELATIVE(boot_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              // EFER: LME, NXE
    rdmsr
    orl $((1 << 8) | (1 << 11)), %eax
    wrmsr
    movl $0x80010033, %eax              // CR0: PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    leal RELATIVE(boot_gdt), %eax       // the pointer to it, on the stack: limit, then base
    pushl %eax
    pushw $(boot_gdt_end - boot_gdt - 1)
    lgdt (%esp)
    addl $6, %esp
    leal RELATIVE(long_mode), %eax
    pushl $8
    pushl %eax
    lret

unsupported:
    leal RELATIVE(unsupported_text), %esi
    movw $0x3f8, %dx
7:  lodsb
    testb %al, %al
    jz 8f
    outb %al, %dx
    jmp 7b
8:  hlt
    jmp 8b

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00209b0000000000            // 64-bit code
    .quad 0x0000930000000000            // data
boot_gdt_end:
unsupported_text:
    .asciz "paravane: this processor has no 64-bit mode or no no-execute pages; use another CPU model\r\n"

    // Still where the image lies.
    .code64
long_mode:
    movl %esp, %esp                     // its upper half is undefined after the change of mode
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    popq %rbx                           // start info
    xorl %ebp, %ebp
    movq %rbx, %rdi
    leaq pv_boot_tables(%rip), %rsi
    leaq pv_layout(%rip), %rdx
    call pv_place_image
    // %rax: from where it lies to where it runs.
    leaq upper_half(%rip), %rdx
    addq %rax, %rdx
    jmp *%rdx
upper_half:
    leaq pv_boot_stack_top(%rip), %rsp
    movq $0, boot_pml4(%rip)            // nothing runs in the lower half any more
    movq %cr3, %rax
    movq %rax, %cr3
    movq %rbx, %rdi
    xorl %ebp, %ebp                     // the back trace ends here
    pushq $0
    pushq $0
    call pv_start
    ud2
    .size pv_entry, . - pv_entry
