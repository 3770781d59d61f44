/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start-up benchmark's guest: its first instructions write one byte to port 0xF4 and stop the
 * CPU. Whoever runs it measures the time to that write.
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
    outb %al, $0xF4
1:  cli
    hlt
    jmp 1b
    .section .note.GNU-stack, "", @progbits
