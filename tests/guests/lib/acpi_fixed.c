/* SPDX-License-Identifier: Apache-2.0 */
/* The FADT (ACPI 6.5, 5.2.9), the MADT (5.2.12) and the \_S5 object. */
#include <stddef.h>

#include "acpi.h"
#include "mmio.h"
#include "paging.h"
#include "port.h"
#include "string.h"

#define FADT_FLAG_TIMER_32_BIT	   (1u << 8)
#define FADT_FLAG_RESET		   (1u << 10)
#define FADT_FLAG_HARDWARE_REDUCED (1u << 20)
#define MADT_LOCAL_APIC		   0
#define MADT_IO_APIC		   1
#define MADT_SOURCE_OVERRIDE	   2
#define S5_SLEEP_TYPE_DEFAULT	   5
#define AML_PACKAGE_OP		   0x12
#define AML_BYTE_PREFIX		   0x0A

/* Reads a little-endian field of a table; 0 if the table is too short to have it. */
static uint64_t acpi_field(const struct acpi_header *table, uint32_t offset, uint32_t size_bytes)
{
	uint64_t value = 0;

	if (offset + size_bytes <= table->length) {
		memcpy(&value, (const char *)table + offset, size_bytes);
	}
	return value;
}

/* The extended (generic address) form wins over the old 32-bit port. */
static struct acpi_register acpi_read_register(const struct acpi_header *fadt, uint32_t old_offset,
					       uint32_t extended_offset)
{
	uint64_t address = acpi_field(fadt, extended_offset + 4, 8);

	if (address != 0) {
		bool is_memory = acpi_field(fadt, extended_offset, 1) == 0;

		if (is_memory) {
			paging_map(address, 8);
		}
		return (struct acpi_register){.is_memory = is_memory, .address = address};
	}
	return (struct acpi_register){
		.address = old_offset == 0 ? 0 : acpi_field(fadt, old_offset, 4),
	};
}

void acpi_read_fixed_hardware(struct acpi_fixed_hardware *out)
{
	const struct acpi_header *fadt = acpi_find_table("FACP");
	uint32_t flags;

	*out = (struct acpi_fixed_hardware){0};
	if (fadt == NULL) {
		return;
	}
	flags = (uint32_t)acpi_field(fadt, 112, 4);
	out->present = true;
	out->hardware_reduced = flags & FADT_FLAG_HARDWARE_REDUCED;
	out->reset_supported = flags & FADT_FLAG_RESET;
	out->reset = acpi_read_register(fadt, 0, 116);
	out->reset_value = (uint8_t)acpi_field(fadt, 128, 1);
	out->dsdt_gpa =
		acpi_field(fadt, 140, 8) ? acpi_field(fadt, 140, 8) : acpi_field(fadt, 40, 4);
	out->sleep_control = acpi_read_register(fadt, 0, 244);
	if (out->hardware_reduced) {
		return; /* the fixed registers are to be ignored */
	}
	out->smi_command_port = (uint32_t)acpi_field(fadt, 48, 4);
	out->pm1a_event = acpi_read_register(fadt, 56, 148);
	out->pm1a_control = acpi_read_register(fadt, 64, 172);
	out->pm_timer = acpi_read_register(fadt, 76, 208);
	out->pm_timer_is_32_bit = flags & FADT_FLAG_TIMER_32_BIT;
	out->gpe0 = acpi_read_register(fadt, 80, 220);
	out->gpe0_size_bytes = (uint8_t)acpi_field(fadt, 92, 1);
}

static void acpi_read_madt_entry(const uint8_t *entry, uint8_t length,
				 struct acpi_interrupt_model *out)
{
	if (entry[0] == MADT_LOCAL_APIC && length >= 8 && (entry[4] & 1)) {
		if (out->cpu_count < ACPI_CPU_MAX) {
			out->cpu_apic_id[out->cpu_count++] = entry[3];
		}
	} else if (entry[0] == MADT_IO_APIC && length >= 12 && out->ioapic_gpa == 0) {
		memcpy(&out->ioapic_gpa, entry + 4, 4);
		memcpy(&out->ioapic_gsi_base, entry + 8, 4);
	} else if (entry[0] == MADT_SOURCE_OVERRIDE && length >= 10 && entry[3] < 16) {
		memcpy(&out->isa_irq_gsi[entry[3]], entry + 4, 4);
	}
}

void acpi_read_interrupt_model(struct acpi_interrupt_model *out)
{
	const struct acpi_header *madt = acpi_find_table("APIC");
	const uint8_t *bytes = (const uint8_t *)madt;

	*out = (struct acpi_interrupt_model){0};
	for (uint32_t irq = 0; irq < 16; irq++) {
		out->isa_irq_gsi[irq] = irq;
	}
	if (madt == NULL) {
		return;
	}
	out->present = true;
	out->lapic_gpa = (uint32_t)acpi_field(madt, 36, 4);
	for (uint32_t offset = 44; offset + 2 <= madt->length;) {
		uint8_t length = bytes[offset + 1];

		if (length < 2 || length > madt->length - offset) {
			return;
		}
		acpi_read_madt_entry(bytes + offset, length, out);
		offset += length;
	}
}

/* name is where "_S5_" was found; the package that follows begins with SLP_TYPa. */
static uint8_t acpi_parse_s5_package(const uint8_t *name, const uint8_t *end)
{
	const uint8_t *at = name + 4;

	if (end - at < 8 || *at != AML_PACKAGE_OP) {
		return S5_SLEEP_TYPE_DEFAULT;
	}
	at++;
	at += 1 + (*at >> 6); /* PkgLength: its top two bits count the bytes that follow */
	at++;		      /* number of elements */
	if (at + 1 >= end) {
		return S5_SLEEP_TYPE_DEFAULT;
	}
	if (*at == AML_BYTE_PREFIX) {
		at++;
	}
	return *at & 7;
}

uint8_t acpi_read_s5_sleep_type(const struct acpi_fixed_hardware *hardware)
{
	const struct acpi_header *dsdt = (const struct acpi_header *)(uintptr_t)hardware->dsdt_gpa;
	const uint8_t *bytes = (const uint8_t *)dsdt;

	if (dsdt == NULL) {
		return S5_SLEEP_TYPE_DEFAULT;
	}
	paging_map(hardware->dsdt_gpa, sizeof(*dsdt));
	paging_map(hardware->dsdt_gpa, dsdt->length);
	for (uint32_t i = sizeof(*dsdt); i + 4 <= dsdt->length; i++) {
		if (bytes[i] == '_' && memcmp(bytes + i, "_S5_", 4) == 0) {
			return acpi_parse_s5_package(bytes + i, bytes + dsdt->length);
		}
	}
	return S5_SLEEP_TYPE_DEFAULT;
}

void acpi_register_write8(const struct acpi_register *reg, uint32_t offset, uint8_t value)
{
	if (reg->is_memory) {
		mmio_write8(reg->address + offset, value);
	} else {
		port_write8((uint16_t)(reg->address + offset), value);
	}
}

void acpi_register_write16(const struct acpi_register *reg, uint32_t offset, uint16_t value)
{
	if (reg->is_memory) {
		mmio_write16(reg->address + offset, value);
	} else {
		port_write16((uint16_t)(reg->address + offset), value);
	}
}

uint16_t acpi_register_read16(const struct acpi_register *reg, uint32_t offset)
{
	if (reg->is_memory) {
		return mmio_read16(reg->address + offset);
	}
	return port_read16((uint16_t)(reg->address + offset));
}

uint32_t acpi_register_read32(const struct acpi_register *reg, uint32_t offset)
{
	if (reg->is_memory) {
		return mmio_read32(reg->address + offset);
	}
	return port_read32((uint16_t)(reg->address + offset));
}
