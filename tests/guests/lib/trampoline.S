/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an application processor begins after the start-up IPI: real mode, cs:ip at the start of
 * the page below 1 MiB that this code was copied to. Only smp.c uses it.
 */
    .section .rodata.trampoline, "a", @progbits
    .code16
    .globl trampoline_start
    .globl trampoline_end
trampoline_start:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl trampoline_gdt_pointer - trampoline_start
    movl %cr0, %eax
    orl $1, %eax                    /* PE */
    movl %eax, %cr0
    ljmpl $0x18, $ap_protected_mode
    .balign 8
trampoline_gdt_pointer:
    .word 31                        /* the four entries of boot_gdt */
    .long boot_gdt
trampoline_end:

    .section .text.ap, "ax", @progbits
    .code32
ap_protected_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr4, %eax
    orl $0x20, %eax                 /* PAE */
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx          /* EFER */
    rdmsr
    orl $0x100, %eax                /* LME */
    wrmsr
    movl %cr0, %eax
    andl $0x9FFFFFFF, %eax          /* INIT leaves caching off: CD, NW */
    orl $0x80000001, %eax           /* PG, PE */
    movl %eax, %cr0
    ljmp $0x08, $ap_long_mode

    .code64
ap_long_mode:
    movq smp_ap_stack_top, %rsp
    call smp_ap_start
1:  cli
    hlt
    jmp 1b
    .section .note.GNU-stack, "", @progbits
