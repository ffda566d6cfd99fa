/* The vdso as the kernel keeps it: the stripped shared object, byte for byte.
 * SPDX-License-Identifier: MIT */
    .section .rodata
    .balign 16
    .global pv_vdso_begin
pv_vdso_begin:
    .incbin "vdso.so"
    .global pv_vdso_end
pv_vdso_end:
    .section .note.GNU-stack, "", @progbits
