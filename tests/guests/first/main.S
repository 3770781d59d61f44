/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start-up benchmark's guest: its first instructions write one byte to the first serial port and
 * stop the CPU. Whoever runs it measures the time until that byte arrives.
 */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4
    .long 8
    .long 18                        /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad pvh_entry

    .section .text.entry, "ax", @progbits
    .code32
    .globl pvh_entry
pvh_entry:
    movb $0x31, %al
    movw $0x3F8, %dx                /* nothing to set up: a 16550A sends what is written to it */
    outb %al, %dx
1:  cli
    hlt
    jmp 1b
    .section .note.GNU-stack, "", @progbits
