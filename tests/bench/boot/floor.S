// The firmware's floor: one line on the console, then power off. Nothing a kernel does can be quicker.
// SPDX-License-Identifier: MIT
    .section .note.pvh, "a", @note
    .long 4, 4, 18              // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long entry

    .text
    .code32
    .global entry
entry:
    mov $line, %esi
    mov $0x3f8, %dx             // COM1; QEMU's always has room
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  mov $0x604, %dx             // PM1a control of q35: sleep type 0, sleep enable
    mov $0x2000, %ax
    out %ax, %dx
3:  hlt
    jmp 3b
line:
    .asciz "floor\n"
    .section .note.GNU-stack, "", @progbits
