/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's ACPI tables (ACPI 6.5): RSDP, XSDT, FADT, FACS, MADT, MCFG and the DSDT that iasl
 * made of dsdt.asl, written to MAP_ACPI_START.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_ACPI_TABLES_H
#define BULKHEAD_VMM_CORE_BOOT_ACPI_TABLES_H

#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"

/* APIC ids are the vCPU indices and must stay below the broadcast id, 255. */
#define ACPI_MAX_CPUS 254

/*
 * Write the tables and a fresh VM generation id. cpus_boot processors are enabled, the others up to
 * cpus_max are online-capable. -EINVAL: cpus_boot is 0 or above cpus_max, or cpus_max above
 * ACPI_MAX_CPUS; -ENOMEM: no RAM at the ACPI area. *rsdp_gpa is what the kernel is told.
 */
int acpi_tables_write(const struct guest_memory *memory, unsigned cpus_boot, unsigned cpus_max,
		      uint64_t *rsdp_gpa, struct error *err);

#endif
