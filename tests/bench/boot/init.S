// The first program of a guest: says so with its first instructions, and powers off.
// SPDX-License-Identifier: MIT
    .section .rodata
line:
    .ascii "first instruction\n"
    .set line_size, . - line

    .text
    .globl _start
_start:
    movl $1, %eax                   // write(1, line, line_size)
    movl $1, %edi
    leaq line(%rip), %rsi
    movl $line_size, %edx
    syscall
    movl $169, %eax                 // reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF)
    movl $0xfee1dead, %edi
    movl $0x28121969, %esi
    movl $0x4321fedc, %edx
    syscall
    movl $231, %eax                 // exit_group(0): where there is no reboot, the first program's end is the machine's
    xorl %edi, %edi
    syscall

    .section .note.GNU-stack, "", @progbits
