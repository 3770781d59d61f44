/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uint32_t hold_registers(uint64_t iterations): keeps a known value in every general register but
 * the loop counter and the stack pointer while it spins with interrupts on, then counts those that
 * changed.
 */
    .section .text.hold_registers, "ax", @progbits
    .code64
    .macro check register, value
    cmpq $\value, \register
    je 1f
    incl (%rsp)
1:
    .endm

    .globl hold_registers
hold_registers:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq $0                        /* mismatches */
    movq %rdi, %rcx
    movq $0x11111111, %rax
    movq $0x22222222, %rbx
    movq $0x33333333, %rdx
    movq $0x44444444, %rsi
    movq $0x55555555, %rdi
    movq $0x66666666, %rbp
    movq $-0x08080808, %r8
    movq $-0x09090909, %r9
    movq $-0x10101010, %r10
    movq $-0x11111111, %r11
    movq $-0x12121212, %r12
    movq $-0x13131313, %r13
    movq $-0x14141414, %r14
    movq $-0x15151515, %r15
    sti
2:  pause
    decq %rcx
    jnz 2b
    cli
    check %rax, 0x11111111
    check %rbx, 0x22222222
    check %rdx, 0x33333333
    check %rsi, 0x44444444
    check %rdi, 0x55555555
    check %rbp, 0x66666666
    check %r8, -0x08080808
    check %r9, -0x09090909
    check %r10, -0x10101010
    check %r11, -0x11111111
    check %r12, -0x12121212
    check %r13, -0x13131313
    check %r14, -0x14141414
    check %r15, -0x15151515
    check %rcx, 0
    popq %rax
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .section .note.GNU-stack, "", @progbits
