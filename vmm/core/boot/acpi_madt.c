/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/acpi_madt.h"

#include <errno.h>

#include "vmm/core/platform/memory_map.h"

#define MADT_REVISION	     5 /* the first in which online-capable has a meaning */
#define MADT_PCAT_COMPATIBLE 1U
#define LAPIC_ENABLED	     1U
#define LAPIC_ONLINE_CAPABLE 2U
#define ALL_PROCESSORS	     0xff
#define NMI_INPUT	     1 /* LINT1 */
#define ISA_IRQ_PIT	     0
#define IOAPIC_PIN_PIT	     2 /* kvm/vm.c routes GSI 0 there */
#define INTI_ACTIVE_HIGH     0x1U
#define INTI_LEVEL	     0xcU

enum madt_entry_type {
	MADT_LOCAL_APIC = 0,
	MADT_IO_APIC = 1,
	MADT_SOURCE_OVERRIDE = 2,
	MADT_LOCAL_APIC_NMI = 4,
};

struct madt_local_apic {
	uint8_t type, length, processor_uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_io_apic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} __attribute__((packed));

struct madt_source_override {
	uint8_t type, length, bus, source;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_local_apic_nmi {
	uint8_t type, length, processor_uid;
	uint16_t flags;
	uint8_t input;
} __attribute__((packed));

struct madt {
	struct acpi_header header;
	uint32_t lapic_address, flags;
	struct madt_io_apic io_apic;
	struct madt_source_override pit, sci;
	struct madt_local_apic_nmi nmi;
	struct madt_local_apic processors[];
} __attribute__((packed));

static struct madt_source_override source_override(uint8_t irq, uint32_t gsi, uint16_t flags)
{
	return (struct madt_source_override){
		.type = MADT_SOURCE_OVERRIDE,
		.length = sizeof(struct madt_source_override),
		.source = irq,
		.gsi = gsi,
		.flags = flags,
	};
}

static void fill_interrupts(struct madt *madt)
{
	madt->lapic_address = (uint32_t)MAP_LAPIC;
	madt->flags = MADT_PCAT_COMPATIBLE;
	madt->io_apic = (struct madt_io_apic){
		.type = MADT_IO_APIC,
		.length = sizeof(madt->io_apic),
		.address = (uint32_t)MAP_IOAPIC,
	};
	madt->pit = source_override(ISA_IRQ_PIT, IOAPIC_PIN_PIT, 0);
	madt->sci = source_override(GSI_ACPI_SCI, GSI_ACPI_SCI, INTI_ACTIVE_HIGH | INTI_LEVEL);
	madt->nmi = (struct madt_local_apic_nmi){
		.type = MADT_LOCAL_APIC_NMI,
		.length = sizeof(madt->nmi),
		.processor_uid = ALL_PROCESSORS,
		.input = NMI_INPUT,
	};
}

int acpi_madt_write(struct acpi_area *area, unsigned cpus_boot, unsigned cpus_max, uint64_t *gpa)
{
	size_t size = sizeof(struct madt) + cpus_max * sizeof(struct madt_local_apic);
	struct madt *madt = acpi_area_take_table(area, "APIC", MADT_REVISION, size, gpa);

	if (!madt)
		return -ENOSPC;
	fill_interrupts(madt);
	for (unsigned i = 0; i < cpus_max; i++)
		madt->processors[i] = (struct madt_local_apic){
			.type = MADT_LOCAL_APIC,
			.length = sizeof(struct madt_local_apic),
			.processor_uid = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = i < cpus_boot ? LAPIC_ENABLED : LAPIC_ONLINE_CAPABLE,
		};
	acpi_table_seal(madt);
	return 0;
}
