/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/acpi_fadt.h"

#include <errno.h>
#include <string.h>

#include "vmm/core/platform/memory_map.h"

#define FADT_REVISION	    6
#define FADT_MINOR_REVISION 4
#define FACS_VERSION	    2
#define FACS_BYTES	    64
#define SPACE_SYSTEM_IO	    1
#define CMOS_CENTURY	    0x32
#define RESET_VALUE	    6

/* Latencies above these limits say that there are no such states. */
#define NO_C2_LATENCY_US 101
#define NO_C3_LATENCY_US 1001

/* Feature flags. PWR_BUTTON (bit 4) stays clear: the power button is fixed hardware. */
#define FLAG_WBINVD	 (1U << 0)
#define FLAG_PROC_C1	 (1U << 2)
#define FLAG_SLP_BUTTON	 (1U << 5) /* no fixed sleep button */
#define FLAG_FIX_RTC	 (1U << 6) /* the RTC's wake status is not fixed hardware */
#define FLAG_TMR_VAL_EXT (1U << 8) /* the PM timer has 32 bits */
#define FLAG_RESET_REG	 (1U << 10)

/*
 * IA-PC boot architecture. "8042" (bit 1) stays clear: there is no keyboard, and a kernel that
 * looked for one would only wait; the reset command works without. "No MSI" (bit 3) stays clear.
 */
#define BOOT_LEGACY_DEVICES (1U << 0)
#define BOOT_NO_VGA	    (1U << 2)
#define BOOT_NO_ASPM	    (1U << 4)

struct fadt {
	struct acpi_header header;
	uint32_t firmware_control, dsdt;
	uint8_t reserved1, preferred_profile;
	uint16_t sci_interrupt;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios_request, pstate_control;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
	uint32_t gpe0, gpe1;
	uint8_t pm1_event_bytes, pm1_control_bytes, pm2_control_bytes, pm_timer_bytes;
	uint8_t gpe0_bytes, gpe1_bytes, gpe1_base, cstate_control;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_architecture;
	uint8_t reserved2;
	uint32_t flags;
	struct acpi_address reset_register;
	uint8_t reset_value;
	uint16_t arm_boot_architecture;
	uint8_t minor_revision;
	uint64_t x_firmware_control, x_dsdt;
	struct acpi_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct acpi_address x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
	struct acpi_address sleep_control, sleep_status;
	char hypervisor_vendor[8];
} __attribute__((packed));

_Static_assert(sizeof(struct fadt) == 276, "ACPI 6.5, table 5.9");

struct facs {
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version, reserved[31];
} __attribute__((packed));

_Static_assert(sizeof(struct facs) == FACS_BYTES, "ACPI 6.5, table 5.14");

static struct acpi_address port_address(uint16_t port, uint8_t bytes, uint8_t access_size)
{
	return (struct acpi_address){
		.space = SPACE_SYSTEM_IO,
		.bit_width = (uint8_t)(bytes * 8),
		.access_size = access_size,
		.address = port,
	};
}

/* The access size code: 1 byte, 2 word, 3 double word. */
static void fill_registers(struct fadt *fadt)
{
	fadt->pm1a_event = PORT_ACPI_PM1_EVENT;
	fadt->pm1_event_bytes = 4;
	fadt->x_pm1a_event = port_address(PORT_ACPI_PM1_EVENT, 4, 2);
	fadt->pm1a_control = PORT_ACPI_PM1_CONTROL;
	fadt->pm1_control_bytes = 2;
	fadt->x_pm1a_control = port_address(PORT_ACPI_PM1_CONTROL, 2, 2);
	fadt->pm_timer = PORT_ACPI_PM_TIMER;
	fadt->pm_timer_bytes = 4;
	fadt->x_pm_timer = port_address(PORT_ACPI_PM_TIMER, 4, 3);
	fadt->gpe0 = PORT_ACPI_GPE0;
	fadt->gpe0_bytes = 4;
	fadt->x_gpe0 = port_address(PORT_ACPI_GPE0, 4, 1);
	fadt->reset_register = port_address(PORT_ACPI_RESET, 1, 1);
	fadt->reset_value = RESET_VALUE;
}

static void fill_features(struct fadt *fadt)
{
	fadt->minor_revision = FADT_MINOR_REVISION;
	fadt->sci_interrupt = GSI_ACPI_SCI;
	fadt->c2_latency = NO_C2_LATENCY_US;
	fadt->c3_latency = NO_C3_LATENCY_US;
	fadt->century = CMOS_CENTURY;
	fadt->boot_architecture = BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_ASPM;
	fadt->flags = FLAG_WBINVD | FLAG_PROC_C1 | FLAG_SLP_BUTTON | FLAG_FIX_RTC |
		      FLAG_TMR_VAL_EXT | FLAG_RESET_REG;
	memcpy(fadt->hypervisor_vendor, "BULKHEAD", sizeof(fadt->hypervisor_vendor));
}

static int write_facs(struct acpi_area *area, uint64_t *gpa)
{
	struct facs *facs = acpi_area_take(area, sizeof(*facs), gpa);

	if (!facs)
		return -ENOSPC;
	memcpy(facs->signature, "FACS", sizeof(facs->signature));
	facs->length = sizeof(*facs);
	facs->version = FACS_VERSION;
	return 0;
}

int acpi_fadt_write(struct acpi_area *area, uint64_t dsdt_gpa, uint64_t *gpa)
{
	uint64_t facs_gpa;
	struct fadt *fadt;

	if (write_facs(area, &facs_gpa) < 0)
		return -ENOSPC;
	fadt = acpi_area_take_table(area, "FACP", FADT_REVISION, sizeof(*fadt), gpa);
	if (!fadt)
		return -ENOSPC;
	/* Below 4 GiB the 32-bit fields are used and the 64-bit twins of these two hold 0 or the
	 * same. */
	fadt->firmware_control = (uint32_t)facs_gpa;
	fadt->dsdt = (uint32_t)dsdt_gpa;
	fadt->x_dsdt = dsdt_gpa;
	fill_registers(fadt);
	fill_features(fadt);
	acpi_table_seal(fadt);
	return 0;
}
