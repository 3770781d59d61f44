/* SPDX-License-Identifier: Apache-2.0 */
/* APIC ids and CPUID topology (Intel SDM 2A, CPUID leaves 1 and 0BH). */
#ifndef GUEST_TOPOLOGY_H
#define GUEST_TOPOLOGY_H

#include <stdint.h>

#include "acpi.h"

/* What a CPU found out about itself. */
struct cpu_report {
	uint8_t lapic_id;
	uint8_t initial_apic_id;  /* leaf 1 */
	uint32_t x2apic_id;	  /* leaf 0BH */
	uint32_t smt_level_type;  /* leaf 0BH, subleaf 0 */
	uint32_t core_level_type; /* leaf 0BH, subleaf 1 */
	uint32_t package_shift;
	uint32_t package_cpus;
	volatile uint32_t ticks;
	volatile uint32_t ipis;
};

/* Fills in the ids of the CPU that calls. */
void topology_read_ids(struct cpu_report *report);

/* Compares the reports with the MADT and with each other. BSP. */
void topology_check(const struct cpu_report *reports, const struct acpi_interrupt_model *model);

#endif
