/* SPDX-License-Identifier: Apache-2.0 */
#include "interrupt.h"

#include <stdbool.h>
#include <stddef.h>

#include "cpu.h"
#include "guest.h"
#include "lapic.h"
#include "port.h"
#include "print.h"

#define PIC_MASTER_DATA	       0x21
#define PIC_SLAVE_DATA	       0xA1
#define VECTOR_PAGE_FAULT      14
#define EXCEPTION_COUNT	       32
#define STUB_SIZE_BYTES	       16
#define CODE_SELECTOR	       0x08
#define GATE_INTERRUPT_PRESENT 0x8E

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t stack_table;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

struct __attribute__((packed)) table_pointer {
	uint16_t limit;
	uint64_t base;
};

struct handler_slot {
	interrupt_handler *handler;
	void *argument;
};

extern char interrupt_stubs[];

static struct gate gates[256];
static struct handler_slot slots[256];
static uint32_t unexpected_count;
static uint8_t next_vector = VECTOR_FIRST_DEVICE;

static void interrupt_set_gate(unsigned int vector)
{
	uint64_t address =
		(uint64_t)(uintptr_t)interrupt_stubs + (uint64_t)vector * STUB_SIZE_BYTES;

	gates[vector] = (struct gate){
		.offset_low = (uint16_t)address,
		.selector = CODE_SELECTOR,
		.type = GATE_INTERRUPT_PRESENT,
		.offset_middle = (uint16_t)(address >> 16),
		.offset_high = (uint32_t)(address >> 32),
	};
}

void interrupt_load_table(void)
{
	struct table_pointer pointer = {
		.limit = sizeof(gates) - 1,
		.base = (uint64_t)(uintptr_t)gates,
	};

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void interrupt_init(void)
{
	for (unsigned int vector = 0; vector < 256; vector++) {
		interrupt_set_gate(vector);
	}
	port_write8(PIC_MASTER_DATA, 0xFF);
	port_write8(PIC_SLAVE_DATA, 0xFF);
	interrupt_load_table();
}

void interrupt_set_handler(uint8_t vector, interrupt_handler *handler, void *argument)
{
	slots[vector].argument = argument;
	cpu_compiler_barrier();
	slots[vector].handler = handler;
}

uint8_t interrupt_allocate_vector(void)
{
	uint8_t vector = next_vector;

	next_vector = vector == VECTOR_LAST_DEVICE ? VECTOR_FIRST_DEVICE : (uint8_t)(vector + 1);
	return vector;
}

uint32_t interrupt_unexpected_count(void)
{
	return unexpected_count;
}

static void __attribute__((noreturn))
interrupt_report_exception(const struct interrupt_frame *frame)
{
	print_break_lock();
	print("\nEXCEPTION vector=%lu error=%lx rip=%lx rsp=%lx rflags=%lx", frame->vector,
	      frame->error_code, frame->rip, frame->rsp, frame->rflags);
	if (frame->vector == VECTOR_PAGE_FAULT) {
		print(" cr2=%lx", cpu_read_cr2());
	}
	print("\nrax=%lx rbx=%lx rcx=%lx rdx=%lx rsi=%lx rdi=%lx rbp=%lx\n", frame->rax, frame->rbx,
	      frame->rcx, frame->rdx, frame->rsi, frame->rdi, frame->rbp);
	guest_panic("unexpected exception");
}

/* Called by interrupt_entry.S only. */
void interrupt_dispatch(const struct interrupt_frame *frame);

void interrupt_dispatch(const struct interrupt_frame *frame)
{
	const struct handler_slot *slot = &slots[frame->vector & 0xFF];

	if (slot->handler != NULL) {
		slot->handler(slot->argument);
	} else if (frame->vector < EXCEPTION_COUNT) {
		interrupt_report_exception(frame);
	} else if (frame->vector != VECTOR_SPURIOUS) {
		unexpected_count++;
	}
	if (frame->vector >= EXCEPTION_COUNT && frame->vector != VECTOR_SPURIOUS) {
		lapic_end_of_interrupt();
	}
}

void interrupt_triple_fault(void)
{
	struct table_pointer empty = {0};

	__asm__ volatile("lidt %0\n\tud2" : : "m"(empty));
	cpu_halt_forever();
}
