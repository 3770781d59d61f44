/* SPDX-License-Identifier: Apache-2.0 */
/* Counters that are only read: TSC, ACPI PM timer, kvmclock. */
#include <stddef.h>

#include "acpi.h"
#include "cpu.h"
#include "guest.h"
#include "kvmclock.h"
#include "print.h"
#include "timers.h"

#define PM_TIMER_HZ	 3579545u
#define SAMPLES		 1000
#define WALL_SECONDS_MIN 1577836800u /* 2020-01-01 */

static void clocks_check_tsc(void)
{
	uint64_t last = cpu_read_tsc();

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t now = cpu_read_tsc();

		if (now < last) {
			test_fail("tsc_is_monotonic", "%lx after %lx", now, last);
			return;
		}
		last = now;
	}
	test_ok("tsc_is_monotonic");
}

static struct acpi_fixed_hardware hardware;
static uint32_t pm_timer_start;

static void clocks_start_pm_timer(void)
{
	pm_timer_start = acpi_register_read32(&hardware.pm_timer, 0);
}

static uint64_t clocks_pm_timer_us(void)
{
	uint32_t mask = hardware.pm_timer_is_32_bit ? 0xFFFFFFFFu : 0xFFFFFFu;
	uint32_t ticks = (acpi_register_read32(&hardware.pm_timer, 0) - pm_timer_start) & mask;

	return (uint64_t)ticks * 1000000 / PM_TIMER_HZ;
}

static void clocks_check_pm_timer(void)
{
	acpi_read_fixed_hardware(&hardware);
	if (hardware.pm_timer.address == 0)
		test_skip("pm_timer_counts_at_its_rate", "not in the FADT");
	else
		timers_check_rate("pm_timer_counts_at_its_rate", clocks_start_pm_timer,
				  clocks_pm_timer_us);
}

static uint64_t clocks_kvmclock_us(void)
{
	return kvmclock_now_ns() / 1000;
}

static void clocks_check_kvmclock_monotonic(void)
{
	uint64_t last = kvmclock_now_ns();

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t now = kvmclock_now_ns();

		if (now < last) {
			test_fail("kvmclock_is_monotonic", "%lu after %lu", now, last);
			return;
		}
		last = now;
	}
	test_ok("kvmclock_is_monotonic");
}

static void clocks_check_kvmclock(void)
{
	uint32_t wall;

	if (!kvmclock_is_offered()) {
		test_skip("kvmclock_is_filled", "CPUID does not offer it");
		return;
	}
	if (!test_check("kvmclock_is_filled", kvmclock_enable(), "the multiplier stays 0"))
		return;
	clocks_check_kvmclock_monotonic();
	timers_check_rate("kvmclock_runs_at_the_rate_of_the_tsc", NULL, clocks_kvmclock_us);
	wall = kvmclock_boot_wall_seconds();
	print("kvmclock began at %u s since 1970\n", wall);
	test_check("kvmclock_wall_clock_is_plausible", wall > WALL_SECONDS_MIN, "before 2020");
}

void timers_check_clocks(void)
{
	clocks_check_tsc();
	clocks_check_pm_timer();
	clocks_check_kvmclock();
}
