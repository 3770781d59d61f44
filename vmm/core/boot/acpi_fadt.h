/* SPDX-License-Identifier: Apache-2.0 */
/* The FADT: the fixed hardware of platform/acpi_pm.c (ACPI 6.5, 5.2.9), and the FACS it names. */
#ifndef BULKHEAD_VMM_CORE_BOOT_ACPI_FADT_H
#define BULKHEAD_VMM_CORE_BOOT_ACPI_FADT_H

#include <stdint.h>

#include "vmm/core/boot/acpi_area.h"

/* Returns 0 and *gpa, or -ENOSPC when the area is full. */
int acpi_fadt_write(struct acpi_area *area, uint64_t dsdt_gpa, uint64_t *gpa);

#endif
