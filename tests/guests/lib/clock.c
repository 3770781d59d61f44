/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <stddef.h>

#include "cpu.h"
#include "interrupt.h"
#include "kvmclock.h"
#include "lapic.h"
#include "pit.h"

#define HYPERVISOR_LEAF	       0x40000000u
#define HYPERVISOR_TIMING_LEAF 0x40000010u
#define CALIBRATION_US	       5000
#define TSC_KHZ_LAST_RESORT    2000000
#define WAIT_TICK_NS	       1000000
#define POLLS_BEFORE_HALT      16

static uint64_t tsc_khz;

/* Leaf 0x40000010 (VMware's, adopted by others): EAX is the TSC frequency in kHz. */
static uint64_t clock_khz_from_cpuid(void)
{
	if (!(cpu_cpuid(1, 0).ecx & (1u << 31))) {
		return 0; /* no hypervisor leaves at all */
	}
	uint32_t highest = cpu_cpuid(HYPERVISOR_LEAF, 0).eax;
	if (highest < HYPERVISOR_TIMING_LEAF || highest > HYPERVISOR_LEAF + 0xFF) {
		return 0;
	}
	return cpu_cpuid(HYPERVISOR_TIMING_LEAF, 0).eax;
}

static uint64_t clock_khz_from_pit(void)
{
	uint64_t elapsed_us = 0;
	uint64_t start, end;

	pit_start_countdown();
	start = cpu_read_tsc();
	for (int i = 0; i < 1000000 && elapsed_us < CALIBRATION_US; i++) {
		elapsed_us = pit_elapsed_us();
	}
	end = cpu_read_tsc();
	return elapsed_us < CALIBRATION_US ? 0 : (end - start) * 1000 / elapsed_us;
}

uint64_t clock_tsc_khz(void)
{
	if (tsc_khz != 0) {
		return tsc_khz;
	}
	tsc_khz = clock_khz_from_cpuid();
	if (tsc_khz == 0) {
		tsc_khz = kvmclock_tsc_khz();
	}
	if (tsc_khz == 0) {
		tsc_khz = clock_khz_from_pit();
	}
	if (tsc_khz == 0) {
		tsc_khz = TSC_KHZ_LAST_RESORT;
	}
	return tsc_khz;
}

uint64_t clock_now_us(void)
{
	uint64_t khz = clock_tsc_khz();
	uint64_t tsc = cpu_read_tsc();

	/* Split so that the product cannot overflow. */
	return tsc / khz * 1000 + tsc % khz * 1000 / khz;
}

void clock_delay_us(uint64_t delay_us)
{
	uint64_t end = clock_now_us() + delay_us;

	while (clock_now_us() < end) {
		cpu_relax();
	}
}

static void clock_on_tick(void *argument)
{
	(void)argument; /* the wake-up is all we want */
}

bool clock_wait_until(clock_predicate *predicate, void *argument, uint64_t timeout_us)
{
	uint64_t end = clock_now_us() + timeout_us;
	bool done = false;

	for (int i = 0; i < POLLS_BEFORE_HALT; i++) {
		cpu_enable_interrupts();
		cpu_relax();
		cpu_disable_interrupts();
		if (predicate(argument)) {
			return true;
		}
	}
	interrupt_set_handler(VECTOR_TIMER, clock_on_tick, NULL);
	lapic_timer_start(LAPIC_TIMER_PERIODIC, WAIT_TICK_NS);
	while (!(done = predicate(argument)) && clock_now_us() < end) {
		cpu_enable_interrupts_and_halt();
	}
	lapic_timer_stop();
	return done;
}
