/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "guest.h"
#include "interrupt.h"
#include "ioapic.h"
#include "lapic.h"
#include "pit.h"
#include "print.h"
#include "timers.h"

#define PIT_DIVISOR_1_KHZ 1193
#define TICKS_WANTED	  10
#define LIMIT_US	  2000000

static volatile uint32_t ticks;

static void pit_timer_on_tick(void *argument)
{
	(void)argument;
	ticks++;
}

static void pit_timer_check_interrupts(const struct acpi_interrupt_model *model)
{
	uint8_t vector = interrupt_allocate_vector();
	uint32_t pin = model->isa_irq_gsi[0] - model->ioapic_gsi_base;
	uint64_t end = clock_now_us() + LIMIT_US;

	test_check("ioapic_has_24_pins", ioapic_entry_count(model->ioapic_gpa) == 24,
		   "another number");
	interrupt_set_handler(vector, pit_timer_on_tick, NULL);
	ioapic_route(model->ioapic_gpa, pin, lapic_id(), vector);
	pit_start(PIT_DIVISOR_1_KHZ);
	cpu_enable_interrupts();
	while (ticks < TICKS_WANTED && clock_now_us() < end)
		cpu_relax();
	cpu_disable_interrupts();
	ioapic_mask(model->ioapic_gpa, pin);
	pit_start_countdown();
	test_check("pit_interrupts_through_the_ioapic", ticks >= TICKS_WANTED, "time-out");
}

void timers_check_pit(void)
{
	struct acpi_interrupt_model model;

	timers_check_rate("pit_counts_at_its_rate", pit_start_countdown, pit_elapsed_us);
	acpi_read_interrupt_model(&model);
	if (model.ioapic_gpa == 0)
		test_skip("pit_interrupts_through_the_ioapic", "no IOAPIC in the MADT");
	else
		pit_timer_check_interrupts(&model);
}
