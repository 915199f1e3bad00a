// SPDX-License-Identifier: MIT
/* A guest whose first instruction ends the measurement: a byte for the console. */
        .globl _start
        .section .vectors, "ax"  /* what guest.ld puts first */
_start: movl $0x3f8, %edx
        outb %al, %dx
1:      hlt
        jmp 1b

        .section .note.Sandbar, "a", @note
        .long 8, 0, 1           /* VMM_NOTE_ANY_KVM */
        .asciz "Sandbar"
