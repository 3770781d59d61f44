/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware (ACPI 6.5, 4.8): power management events and control, the power management
 * timer, general-purpose events, the reset register. The machine is in ACPI mode from the start
 * (SCI_EN reads 1). The timer's own status bit is never set: its counter has 32 bits, and a kernel
 * that reads it once in 20 minutes does not need it. Handlers run on vCPU threads.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_ACPI_PM_H
#define BULKHEAD_VMM_CORE_PLATFORM_ACPI_PM_H

#include <stdint.h>

#include "ipc/error.h"
#include "proto/platform.pb-c.h"
#include "vmm/core/platform/bus.h"
#include "vmm/core/platform/irq_line.h"

#define ACPI_PM_FIXED_BYTES 12 /* PM1 event, PM1 control, 2 unused, timer */
#define ACPI_PM_GPE0_BYTES  4

struct acpi_pm;

struct acpi_pm_options {
	struct irq_line sci;
	/* On a vCPU thread, without a lock held; must only post. */
	void (*power_off)(void *opaque);
	void (*reset)(void *opaque);
	void *opaque;
	uint64_t (*now_ns)(void); /* NULL: CLOCK_MONOTONIC. For tests. */
};

extern const struct bus_device_ops acpi_pm_fixed_ops; /* PORT_ACPI_PM1_EVENT */
extern const struct bus_device_ops acpi_pm_gpe0_ops;  /* PORT_ACPI_GPE0 */
extern const struct bus_device_ops acpi_pm_reset_ops; /* PORT_ACPI_RESET, 1 byte */

struct acpi_pm *acpi_pm_new(const struct acpi_pm_options *options); /* NULL: out of memory */
void acpi_pm_destroy(struct acpi_pm *pm);			    /* accepts NULL */

/* The fixed power button was pressed. Any thread. */
void acpi_pm_power_button(struct acpi_pm *pm);

/* General-purpose event number (0 to 15) happened: GPE_*. Any thread. */
void acpi_pm_notify_gpe(struct acpi_pm *pm, unsigned number);

/* Power-on state but for the timer, which runs on. vCPUs stopped. */
void acpi_pm_reset(struct acpi_pm *pm);

/* vCPUs stopped. restore: -EINVAL for registers out of range; the timer goes on where it was. */
void acpi_pm_save(struct acpi_pm *pm, Bulkhead__Platform__AcpiPm *state);
int acpi_pm_restore(struct acpi_pm *pm, const Bulkhead__Platform__AcpiPm *state, struct error *err);

#endif
