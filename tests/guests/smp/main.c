/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts every CPU of the MADT; each checks its APIC ids, takes timer ticks and an IPI, and
 * increments a shared counter. Option: expect_cpus=N.
 */
#include <stddef.h>

#include "acpi.h"
#include "clock.h"
#include "cmdline.h"
#include "cpu.h"
#include "guest.h"
#include "interrupt.h"
#include "lapic.h"
#include "print.h"
#include "smp.h"
#include "topology.h"

#define INCREMENTS     200
#define TICKS_WANTED   5
#define TICK_NS	       1000000
#define PHASE_LIMIT_US 10000000

static struct acpi_interrupt_model model;
static struct cpu_report reports[ACPI_CPU_MAX];
static volatile uint32_t shared_counter;
static volatile uint32_t ticked_cpus;
static volatile uint32_t interrupted_cpus;

static struct cpu_report *smp_own_report(void)
{
	uint8_t id = lapic_id();

	for (uint32_t i = 0; i < model.cpu_count; i++) {
		if (model.cpu_apic_id[i] == id)
			return &reports[i];
	}
	return &reports[0];
}

static void smp_on_tick(void *argument)
{
	(void)argument;
	smp_own_report()->ticks++;
}

static void smp_on_ipi(void *argument)
{
	(void)argument;
	smp_own_report()->ipis++;
}

/* What every CPU does, the BSP too; the APs then wait for their IPI. */
static void smp_work(struct cpu_report *report)
{
	topology_read_ids(report);
	for (int i = 0; i < INCREMENTS; i++)
		cpu_atomic_increment(&shared_counter);
	lapic_timer_start(LAPIC_TIMER_PERIODIC, TICK_NS);
	while (report->ticks < TICKS_WANTED)
		cpu_enable_interrupts_and_halt();
	lapic_timer_stop();
	cpu_atomic_increment(&ticked_cpus);
}

static void smp_on_ap(uint32_t cpu_index)
{
	struct cpu_report *report = &reports[cpu_index];

	smp_work(report);
	while (report->ipis == 0)
		cpu_enable_interrupts_and_halt();
	cpu_atomic_increment(&interrupted_cpus);
}

static bool smp_wait_count(const volatile uint32_t *counter, uint32_t wanted)
{
	uint64_t end = clock_now_us() + PHASE_LIMIT_US;

	while (*counter != wanted && clock_now_us() < end)
		cpu_relax();
	return *counter == wanted;
}

/* Returns how many CPUs run, the BSP included. */
static uint32_t smp_start_others(void)
{
	uint8_t own_id = lapic_id();
	uint32_t running = 1;

	for (uint32_t i = 0; i < model.cpu_count; i++) {
		if (model.cpu_apic_id[i] == own_id)
			continue;
		if (smp_start_cpu(model.cpu_apic_id[i], i, smp_on_ap))
			running++;
		else
			test_fail("every_cpu_starts", "the CPU with APIC id %u did not",
				  model.cpu_apic_id[i]);
	}
	return running;
}

static void smp_send_ipis(void)
{
	uint8_t own_id = lapic_id();

	for (uint32_t i = 0; i < model.cpu_count; i++) {
		if (model.cpu_apic_id[i] != own_id)
			lapic_send_fixed(model.cpu_apic_id[i], VECTOR_IPI);
	}
}

static bool smp_bsp_is_listed(void)
{
	for (uint32_t i = 0; i < model.cpu_count; i++) {
		if (model.cpu_apic_id[i] == lapic_id())
			return true;
	}
	return false;
}

void guest_main(void)
{
	uint64_t expected = cmdline_number("expect_cpus", 0);
	uint32_t running;

	acpi_read_interrupt_model(&model);
	print("MADT lists %u CPUs, LAPIC at %x, IOAPIC at %x\n", model.cpu_count, model.lapic_gpa,
	      model.ioapic_gpa);
	if (!test_check("bsp_is_in_the_madt", smp_bsp_is_listed(), "its APIC id is not listed"))
		return;
	if (expected != 0)
		test_check("madt_lists_the_expected_cpus", model.cpu_count == expected,
			   "another number");
	clock_now_us(); /* calibrates before anybody else uses the clock */
	interrupt_set_handler(VECTOR_TIMER, smp_on_tick, NULL);
	interrupt_set_handler(VECTOR_IPI, smp_on_ipi, NULL);
	running = smp_start_others();
	test_check("every_cpu_starts", running == model.cpu_count, "some did not");
	smp_work(smp_own_report());
	test_check("every_cpu_gets_timer_ticks", smp_wait_count(&ticked_cpus, running), "time-out");
	test_check("shared_counter_is_exact", shared_counter == running * INCREMENTS,
		   "increments were lost");
	smp_send_ipis();
	test_check("every_cpu_gets_an_ipi", smp_wait_count(&interrupted_cpus, running - 1),
		   "time-out");
	topology_check(reports, &model);
}
