/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "guest.h"
#include "interrupt.h"
#include "lapic.h"
#include "print.h"
#include "timers.h"

#define MSR_TSC_DEADLINE     0x6E0u
#define FEATURE_TSC_DEADLINE (1u << 24)
#define ONE_SHOT_NS	     2000000
#define PERIOD_NS	     1000000
#define PERIODS		     20
#define LIMIT_US	     2000000

static volatile uint32_t ticks;

static void lapic_timer_on_tick(void *argument)
{
	(void)argument;
	ticks++;
}

/* Spins with interrupts on: a halted CPU that no timer wakes would never see the time-out. */
static bool lapic_timer_wait(uint32_t wanted)
{
	uint64_t end = clock_now_us() + LIMIT_US;

	cpu_enable_interrupts();
	while (ticks < wanted && clock_now_us() < end)
		cpu_relax();
	cpu_disable_interrupts();
	return ticks >= wanted;
}

static void lapic_timer_check_one_shot(void)
{
	uint64_t start = clock_now_us();
	uint64_t elapsed_us;

	ticks = 0;
	lapic_timer_start(LAPIC_TIMER_ONE_SHOT, ONE_SHOT_NS);
	test_check("lapic_one_shot_fires", lapic_timer_wait(1), "time-out");
	elapsed_us = clock_now_us() - start;
	print("one-shot of %u us took %lu us\n", ONE_SHOT_NS / 1000, elapsed_us);
	test_check("lapic_one_shot_is_not_early", elapsed_us >= ONE_SHOT_NS / 1000 * 9 / 10,
		   "it is more than a tenth early");
	test_check("lapic_one_shot_stops_at_zero", lapic_timer_remaining() == 0,
		   "the current count is not 0");
	clock_delay_us(ONE_SHOT_NS / 1000);
	cpu_enable_interrupts();
	cpu_relax();
	cpu_disable_interrupts();
	test_check("lapic_one_shot_fires_once", ticks == 1, "more than one interrupt");
}

static void lapic_timer_check_periodic(void)
{
	uint64_t start = clock_now_us();
	uint64_t elapsed_us;

	ticks = 0;
	lapic_timer_start(LAPIC_TIMER_PERIODIC, PERIOD_NS);
	while (ticks < PERIODS)
		cpu_enable_interrupts_and_halt();
	lapic_timer_stop();
	elapsed_us = clock_now_us() - start;
	print("%u periods of %u us took %lu us\n", PERIODS, PERIOD_NS / 1000, elapsed_us);
	test_check("lapic_periodic_ticks_wake_from_halt", ticks >= PERIODS, "too few");
	test_check("lapic_periodic_ticks_have_the_period",
		   elapsed_us >= (uint64_t)PERIODS * PERIOD_NS / 1000 / 2, "twice too fast");
}

static void lapic_timer_check_deadline(void)
{
	uint64_t deadline;

	if (!(cpu_cpuid(1, 0).ecx & FEATURE_TSC_DEADLINE)) {
		test_skip("lapic_tsc_deadline_fires", "not in CPUID");
		return;
	}
	ticks = 0;
	lapic_timer_start(LAPIC_TIMER_TSC_DEADLINE, 0);
	deadline = cpu_read_tsc() + clock_tsc_khz();
	cpu_write_msr(MSR_TSC_DEADLINE, deadline);
	test_check("lapic_tsc_deadline_fires", lapic_timer_wait(1), "time-out");
	test_check("lapic_tsc_deadline_is_not_early", cpu_read_tsc() >= deadline, "it is");
	test_check("lapic_tsc_deadline_clears_itself", cpu_read_msr(MSR_TSC_DEADLINE) == 0,
		   "the MSR is not 0");
	lapic_timer_stop();
}

void timers_check_lapic(void)
{
	interrupt_set_handler(VECTOR_TIMER, lapic_timer_on_tick, NULL);
	print("tsc %lu kHz\n", clock_tsc_khz());
	lapic_timer_check_one_shot();
	lapic_timer_check_periodic();
	lapic_timer_check_deadline();
	interrupt_set_handler(VECTOR_TIMER, NULL, NULL);
}
