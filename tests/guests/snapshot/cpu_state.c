/* SPDX-License-Identifier: Apache-2.0 */
/* Registers, clocks, and the other CPUs. */
#include <stddef.h>

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "kvmclock.h"
#include "lapic.h"
#include "smp.h"
#include "snapshot.h"

#define HOLD_ITERATIONS 5000
#define AP_PERIOD_NS	10000000

struct held_msr {
	uint32_t index;
	uint64_t value;
};

/* Not used by anything else in the guest: free to hold any canonical address. */
static const struct held_msr held_msrs[] = {
	{0xC0000100, 0x00001111AAAA0000ull}, /* FS_BASE */
	{0xC0000101, 0x00002222BBBB0000ull}, /* GS_BASE */
	{0xC0000102, 0x00003333CCCC0000ull}, /* KERNEL_GS_BASE */
	{0xC0000082, 0x0000444455550000ull}, /* LSTAR */
};

static uint64_t last_tsc_us;
static uint64_t last_kvmclock_ns;
static bool has_kvmclock;
static struct acpi_interrupt_model model;
static volatile uint64_t wakes[ACPI_CPU_MAX];
static bool runs[ACPI_CPU_MAX];

uint32_t hold_registers(uint64_t iterations);

void register_state_init(void)
{
	for (size_t i = 0; i < sizeof(held_msrs) / sizeof(held_msrs[0]); i++)
		cpu_write_msr(held_msrs[i].index, held_msrs[i].value);
}

uint32_t register_state_tick(void)
{
	uint32_t mismatches = hold_registers(HOLD_ITERATIONS);

	for (size_t i = 0; i < sizeof(held_msrs) / sizeof(held_msrs[0]); i++)
		mismatches += cpu_read_msr(held_msrs[i].index) != held_msrs[i].value;
	return mismatches;
}

void clock_state_init(void)
{
	has_kvmclock = kvmclock_enable();
	last_tsc_us = clock_now_us();
	last_kvmclock_ns = has_kvmclock ? kvmclock_now_ns() : 0;
}

uint32_t clock_state_tick(void)
{
	uint64_t tsc_us = clock_now_us();
	uint64_t kvmclock_ns = has_kvmclock ? kvmclock_now_ns() : 0;
	uint32_t errors = (tsc_us < last_tsc_us) + (kvmclock_ns < last_kvmclock_ns);

	last_tsc_us = tsc_us;
	last_kvmclock_ns = kvmclock_ns;
	return errors;
}

static void cpu_state_on_ap(uint32_t cpu_index)
{
	lapic_timer_start(LAPIC_TIMER_PERIODIC, AP_PERIOD_NS);
	for (;;) {
		cpu_enable_interrupts_and_halt();
		wakes[cpu_index]++;
	}
}

uint32_t cpu_state_start(void)
{
	uint32_t count = 0;

	acpi_read_interrupt_model(&model);
	for (uint32_t i = 0; i < model.cpu_count; i++) {
		runs[i] = model.cpu_apic_id[i] != lapic_id() &&
			  smp_start_cpu(model.cpu_apic_id[i], i, cpu_state_on_ap);
		count += runs[i];
	}
	return count;
}

uint64_t cpu_state_wakes(uint64_t *smallest)
{
	uint64_t sum = 0;

	*smallest = 0;
	for (uint32_t i = 0; i < model.cpu_count; i++) {
		if (!runs[i])
			continue;
		if (sum == 0 || wakes[i] < *smallest)
			*smallest = wakes[i];
		sum += wakes[i];
	}
	return sum;
}
