/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IDT, interrupt handlers by vector, and what happens on an exception: a message, a failed
 * test, power-off.
 */
#ifndef GUEST_INTERRUPT_H
#define GUEST_INTERRUPT_H

#include <stdint.h>

/* Vectors 0x20 to 0x2F are left to the two 8259 PICs, which stay masked. */
#define VECTOR_FIRST_DEVICE 0x30
#define VECTOR_LAST_DEVICE  0xDF
#define VECTOR_IPI	    0xE0
#define VECTOR_TIMER	    0xEF
#define VECTOR_SPURIOUS	    0xFF

/* As interrupt_entry.S pushes it. */
struct interrupt_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector;
	uint64_t error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Runs with interrupts off. The dispatcher sends EOI for vectors of 32 and above. */
typedef void interrupt_handler(void *argument);

/* Builds the IDT, masks the PICs, loads the IDT. BSP, once. */
void interrupt_init(void);

/* Loads the IDT on this CPU. */
void interrupt_load_table(void);

/* Sets the handler of a vector (NULL removes it). Vector 2 may be set to survive NMIs. */
void interrupt_set_handler(uint8_t vector, interrupt_handler *handler, void *argument);

/* Returns a device vector that nobody has yet; they are never given back, but wrap around. */
uint8_t interrupt_allocate_vector(void);

/* How many interrupts came without a handler (spurious ones not counted). */
uint32_t interrupt_unexpected_count(void);

/* Makes the next exception a triple fault, and causes one. */
void interrupt_triple_fault(void) __attribute__((noreturn));

#endif
