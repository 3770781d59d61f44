/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/acpi_tables.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "vmm/core/boot/acpi_area.h"
#include "vmm/core/boot/acpi_fadt.h"
#include "vmm/core/boot/acpi_madt.h"
#include "vmm/core/boot/boot.h"
#include "vmm/core/boot/dsdt.aml.h"
#include "vmm/core/platform/memory_map.h"

#define RSDP_REVISION	 2
#define RSDP_V1_BYTES	 20 /* what the first checksum covers */
#define XSDT_REVISION	 1
#define MCFG_REVISION	 1
#define VMGENID_GPA	 (MAP_ACPI_END - GUEST_PAGE_SIZE) /* a page of its own, the area's last */
#define VMGENID_BYTES	 16
#define XSDT_TABLE_COUNT 3

/* What dsdt.asl repeats. */
_Static_assert(VMGENID_GPA == 0xff000, "dsdt.asl: VGEN.ADDR");
_Static_assert(MAP_PCI_MMIO_START == 0xc0000000 && MAP_PCI_MMIO_END == 0xe0000000,
	       "dsdt.asl: PCI0._CRS");
_Static_assert(MAP_ECAM_START == 0xe8000000 && MAP_ECAM_SIZE == 0x100000, "dsdt.asl: MBRD._CRS");
_Static_assert(PORT_ACPI_PM1_EVENT == 0x600 && PORT_ACPI_PM_TIMER + 4 == 0x60c &&
		       PORT_ACPI_GPE0 == 0x620,
	       "dsdt.asl: MBRD._CRS");
_Static_assert(PORT_PCI_HOTPLUG == 0x640, "dsdt.asl: PCHP");
_Static_assert(PORT_COM1 == 0x3f8 && GSI_COM1 == 4, "dsdt.asl: COM1._CRS");
_Static_assert(PORT_PVPANIC == 0x505, "dsdt.asl: PEVT._CRS");
_Static_assert(PORT_CMOS_INDEX == 0x70, "dsdt.asl: RTC0._CRS");
_Static_assert(GPE_PCI_HOTPLUG == 1 && GPE_VMGENID == 5, "dsdt.asl: _GPE");

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt_gpa, length;
	uint64_t xsdt_gpa;
	uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6.5, table 5.3");

struct xsdt {
	struct acpi_header header;
	uint64_t tables[XSDT_TABLE_COUNT];
} __attribute__((packed));

/* PCI firmware specification 3.3, 4.1.2. */
struct mcfg {
	struct acpi_header header;
	uint64_t reserved1;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved2;
} __attribute__((packed));

uint64_t boot_vmgenid_gpa(void)
{
	return VMGENID_GPA;
}

static int write_dsdt(struct acpi_area *area, uint64_t *gpa)
{
	void *dsdt = acpi_area_take(area, sizeof(dsdt_aml_code), gpa);

	if (!dsdt)
		return -ENOSPC;
	memcpy(dsdt, dsdt_aml_code, sizeof(dsdt_aml_code));
	return 0;
}

static int write_mcfg(struct acpi_area *area, uint64_t *gpa)
{
	struct mcfg *mcfg = acpi_area_take_table(area, "MCFG", MCFG_REVISION, sizeof(*mcfg), gpa);

	if (!mcfg)
		return -ENOSPC;
	mcfg->base = MAP_ECAM_START;
	acpi_table_seal(mcfg);
	return 0;
}

static int write_xsdt(struct acpi_area *area, const uint64_t tables[XSDT_TABLE_COUNT],
		      uint64_t *gpa)
{
	struct xsdt *xsdt = acpi_area_take_table(area, "XSDT", XSDT_REVISION, sizeof(*xsdt), gpa);

	if (!xsdt)
		return -ENOSPC;
	memcpy(xsdt->tables, tables, sizeof(xsdt->tables));
	acpi_table_seal(xsdt);
	return 0;
}

static void fill_rsdp(struct rsdp *rsdp, uint64_t xsdt_gpa)
{
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, ACPI_OEM_ID, sizeof(rsdp->oem_id));
	rsdp->revision = RSDP_REVISION;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt_gpa = xsdt_gpa;
	rsdp->checksum = acpi_checksum(rsdp, RSDP_V1_BYTES);
	rsdp->extended_checksum = acpi_checksum(rsdp, sizeof(*rsdp));
}

static int write_tables(struct acpi_area *area, unsigned cpus_boot, unsigned cpus_max,
			uint64_t *rsdp_gpa)
{
	/* First, so that a kernel that searches for it finds it at once. */
	struct rsdp *rsdp = acpi_area_take(area, sizeof(*rsdp), rsdp_gpa);
	uint64_t dsdt_gpa, xsdt_gpa, tables[XSDT_TABLE_COUNT];

	if (!rsdp || write_dsdt(area, &dsdt_gpa) < 0 ||
	    acpi_fadt_write(area, dsdt_gpa, &tables[0]) < 0 ||
	    acpi_madt_write(area, cpus_boot, cpus_max, &tables[1]) < 0 ||
	    write_mcfg(area, &tables[2]) < 0 || write_xsdt(area, tables, &xsdt_gpa) < 0)
		return -ENOSPC;
	fill_rsdp(rsdp, xsdt_gpa);
	return 0;
}

static int write_vmgenid(const struct guest_memory *memory)
{
	uint8_t id[VMGENID_BYTES];

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return -EIO;
	return guest_memory_write(memory, VMGENID_GPA, id, sizeof(id));
}

int acpi_tables_write(const struct guest_memory *memory, unsigned cpus_boot, unsigned cpus_max,
		      uint64_t *rsdp_gpa, struct error *err)
{
	struct acpi_area area = {
		.gpa = MAP_ACPI_START,
		.size_bytes = VMGENID_GPA - MAP_ACPI_START,
	};
	int result;

	if (cpus_boot == 0 || cpus_boot > cpus_max || cpus_max > ACPI_MAX_CPUS)
		return error_set(err, -EINVAL, "%u of at most %u vCPUs: there can be 1 to %d",
				 cpus_boot, cpus_max, ACPI_MAX_CPUS);
	area.hva = guest_memory_translate(memory, area.gpa, area.size_bytes);
	if (!area.hva)
		return error_set(err, -ENOMEM, "no RAM for the ACPI tables at 0x%llx",
				 MAP_ACPI_START);
	result = write_tables(&area, cpus_boot, cpus_max, rsdp_gpa);
	if (result == 0)
		result = write_vmgenid(memory);
	if (result < 0)
		return error_set_errno(err, result, "write ACPI tables");
	return 0;
}
