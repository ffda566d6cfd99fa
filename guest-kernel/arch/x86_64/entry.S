// PVH entry: 32-bit protected mode to the kernel's place in the upper half, write xor execute from the first table.
// SPDX-License-Identifier: MIT
// Xen's "PVH" boot protocol (docs/misc/pvh.pandoc): flat 32-bit segments, paging off, %ebx = start info.

#define PHYS(symbol) ((symbol) - 0xffffffff80000000)
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
    .balign 4
    .quad PHYS(pv_entry)

    .section .boot_tables, "aw", @nobits
    .balign 4096
boot_pml4:          .skip 4096
boot_pdpt_low:      .skip 4096
boot_pd_low:        .skip 4096
boot_pt_low:        .skip 4096
boot_pdpt_direct:   .skip 4096
boot_pd_direct:     .skip 4096
boot_pdpt_image:    .skip 4096
boot_pd_image:      .skip 4096
boot_pt_image:      .skip 8 * 4096

    .section .text.entry, "ax", @progbits
    .code32
    .globl pv_entry
    .type pv_entry, @function
pv_entry:
    cli
    cld
    movl %ebx, %ebp                     // start info, kept

    movl $PHYS(pv_bss_start), %edi
    movl $PHYS(pv_bss_end), %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl
    movl $PHYS(pv_boot_stack_top), %esp

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

    // The upper levels.
    movl $(PHYS(boot_pdpt_low) + PRESENT + WRITE), boot_pml4_phys
    movl $(PHYS(boot_pdpt_direct) + PRESENT + WRITE), boot_pml4_phys + 256 * 8
    movl $(PHYS(boot_pdpt_image) + PRESENT + WRITE), boot_pml4_phys + 511 * 8
    movl $(PHYS(boot_pd_low) + PRESENT + WRITE), PHYS(boot_pdpt_low)
    movl $(PHYS(boot_pd_direct) + PRESENT + WRITE), PHYS(boot_pdpt_direct)
    movl $(PHYS(boot_pd_image) + PRESENT + WRITE), PHYS(boot_pdpt_image) + 510 * 8
    movl $(PHYS(boot_pt_low) + PRESENT + WRITE), PHYS(boot_pd_low) + 8
    movl $(PHYS(boot_pt_image) + PRESENT + WRITE), %eax
    xorl %ecx, %ecx
1:  movl %eax, PHYS(boot_pd_image)(,%ecx,8)
    addl $4096, %eax
    incl %ecx
    cmpl $8, %ecx
    jb 1b

    // The image: text read and execute, constants read, the rest read and write.
    movl $PHYS(pv_text_start), %esi
2:  movl %esi, %ecx
    shrl $12, %ecx
    movl %esi, %eax
    orl $PRESENT, %eax
    xorl %edx, %edx
    cmpl $PHYS(pv_rodata_start), %esi
    jb 3f
    movl $NX_HIGH, %edx
    cmpl $PHYS(pv_rodata_end), %esi
    jb 3f
    orl $WRITE, %eax
3:  movl %eax, PHYS(boot_pt_image)(,%ecx,8)
    movl %edx, PHYS(boot_pt_image) + 4(,%ecx,8)
    addl $4096, %esi
    cmpl $PHYS(pv_image_end), %esi
    jb 2b

    // This page at its physical address, read and execute, until the jump.
    movl $(PHYS(pv_entry) + PRESENT), %eax
    movl %eax, PHYS(boot_pt_low) + 0 * 8

    // The first GiB where the direct map will be, read and write, no execute, without the image's 2 MiB pages:
    // no writable alias of text. What is RAM of it, the memory map tells later.
    xorl %ecx, %ecx
    movl $(PRESENT + WRITE + HUGE), %eax
4:  cmpl $PHYS(pv_image_start), %eax
    jb 5f
    cmpl $PHYS(pv_image_end), %eax
    jb 6f
5:  movl %eax, PHYS(boot_pd_direct)(,%ecx,8)
    movl $NX_HIGH, PHYS(boot_pd_direct) + 4(,%ecx,8)
6:  addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jb 4b

    movl %cr4, %eax
    orl $(1 << 5), %eax                 // PAE
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              // EFER: LME, NXE
    rdmsr
    orl $((1 << 8) | (1 << 11)), %eax
    wrmsr
    movl $0x80010033, %eax              // CR0: PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmpl $8, $PHYS(long_mode)

unsupported:
    movl $PHYS(unsupported_text), %esi
    movw $0x3f8, %dx
7:  lodsb
    testb %al, %al
    jz 8f
    outb %al, %dx
    jmp 7b
8:  hlt
    jmp 8b

    .set boot_pml4_phys, boot_pml4 - 0xffffffff80000000

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00209b0000000000            // 64-bit code
    .quad 0x0000930000000000            // data
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long PHYS(boot_gdt)
unsupported_text:
    .asciz "paravane: this processor has no 64-bit mode or no no-execute pages; use another CPU model\r\n"

    .code64
long_mode:
    movabsq $upper_half, %rax
    jmp *%rax
upper_half:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $pv_boot_stack_top, %rsp
    movl %ebp, %edi
    xorl %ebp, %ebp                     // the back trace ends here
    pushq $0
    pushq $0
    call pv_start
    ud2
    .size pv_entry, . - pv_entry
