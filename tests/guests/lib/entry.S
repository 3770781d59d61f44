/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVH entry (Xen x86/HVM direct boot ABI): 32-bit protected mode, paging off, ebx holds the
 * physical address of the start info. Goes to long mode on page tables that are part of the
 * image, so that nothing has to be built by instructions that may all be emulated.
 */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4                         /* name size */
    .long 8                         /* descriptor size: some loaders read a whole 64-bit word */
    .long 18                        /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad pvh_entry

    .section .text.entry, "ax", @progbits
    .code32
    .globl pvh_entry
pvh_entry:
    cld
    cli
    movl %ebx, %edi                 /* first argument of guest_start() */
    movl $boot_stack_top, %esp
    lgdt boot_gdt_pointer
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
    orl $0x80000001, %eax           /* PG, PE */
    movl %eax, %cr0
    ljmp $0x08, $long_mode_entry

    .code64
long_mode_entry:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %edi, %edi                 /* the upper half is undefined after the switch */
    movq $boot_stack_top, %rsp
    call guest_start
1:  cli
    hlt
    jmp 1b

    .section .data.gdt, "aw", @progbits
    .balign 8
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF        /* 0x08: 64-bit code */
    .quad 0x00CF93000000FFFF        /* 0x10: data */
    .quad 0x00CF9B000000FFFF        /* 0x18: 32-bit code, for the AP trampoline */
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .quad boot_gdt

    /* Identity map of the low 4 GiB in 2 MiB pages; paging.c adds more on request. */
    .section .data.page_tables, "aw", @progbits
    .balign 4096
    .globl boot_pml4
boot_pml4:
    .quad boot_pdpt + 0x3
    .fill 511, 8, 0
boot_pdpt:
    .quad boot_pd + 0x0003
    .quad boot_pd + 0x1003
    .quad boot_pd + 0x2003
    .quad boot_pd + 0x3003
    .fill 508, 8, 0
boot_pd:
    .set page, 0
    .rept 2048
    .quad (page << 21) + 0x83       /* present, writable, 2 MiB */
    .set page, page + 1
    .endr

    .section .bss.stack, "aw", @nobits
    .balign 16
boot_stack:
    .skip 32768
boot_stack_top:
    .section .note.GNU-stack, "", @progbits
