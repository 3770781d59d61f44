/* SPDX-License-Identifier: Apache-2.0 */
/* The MADT: local APICs, the IOAPIC and how ISA interrupts reach it (ACPI 6.5, 5.2.12). */
#ifndef BULKHEAD_VMM_CORE_BOOT_ACPI_MADT_H
#define BULKHEAD_VMM_CORE_BOOT_ACPI_MADT_H

#include <stdint.h>

#include "vmm/core/boot/acpi_area.h"

/* Returns 0 and *gpa, or -ENOSPC when the area is full. */
int acpi_madt_write(struct acpi_area *area, unsigned cpus_boot, unsigned cpus_max, uint64_t *gpa);

#endif
