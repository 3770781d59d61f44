/* SPDX-License-Identifier: Apache-2.0 */
/* Finding tables: RSDP, then XSDT (or RSDT), then the table. */
#include "acpi.h"

#include <stddef.h>

#include "boot_info.h"
#include "paging.h"
#include "string.h"

struct __attribute__((packed)) root_pointer {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt_gpa;
	uint32_t length;
	uint64_t xsdt_gpa;
};

#define TABLE_LENGTH_MAX (1u << 20)

static const struct acpi_header *acpi_map_table(uint64_t gpa)
{
	const struct acpi_header *table = (const struct acpi_header *)(uintptr_t)gpa;

	if (gpa == 0) {
		return NULL;
	}
	paging_map(gpa, sizeof(*table));
	if (table->length < sizeof(*table) || table->length > TABLE_LENGTH_MAX) {
		return NULL;
	}
	paging_map(gpa, table->length);
	return table;
}

static const struct root_pointer *acpi_root_pointer(void)
{
	uint64_t gpa = boot_info_get()->rsdp_gpa;
	const struct root_pointer *root = (const struct root_pointer *)(uintptr_t)gpa;

	if (gpa == 0) {
		return NULL;
	}
	paging_map(gpa, sizeof(*root));
	return memcmp(root->signature, "RSD PTR ", 8) == 0 ? root : NULL;
}

static uint64_t acpi_entry_gpa(const struct acpi_header *root_table, size_t entry_size_bytes,
			       uint32_t index)
{
	const char *entries = (const char *)(root_table + 1);
	uint64_t gpa = 0;

	if (index >= (root_table->length - sizeof(*root_table)) / entry_size_bytes) {
		return 0;
	}
	memcpy(&gpa, entries + index * entry_size_bytes, entry_size_bytes);
	return gpa;
}

const struct acpi_header *acpi_table_at(uint32_t index)
{
	const struct root_pointer *root = acpi_root_pointer();
	const struct acpi_header *table;

	if (root == NULL) {
		return NULL;
	}
	if (root->revision >= 2 && root->xsdt_gpa != 0) {
		table = acpi_map_table(root->xsdt_gpa);
		return table == NULL ? NULL : acpi_map_table(acpi_entry_gpa(table, 8, index));
	}
	table = acpi_map_table(root->rsdt_gpa);
	return table == NULL ? NULL : acpi_map_table(acpi_entry_gpa(table, 4, index));
}

const struct acpi_header *acpi_find_table(const char signature[4])
{
	const struct acpi_header *table;

	for (uint32_t i = 0; (table = acpi_table_at(i)) != NULL; i++) {
		if (memcmp(table->signature, signature, 4) == 0) {
			return table;
		}
	}
	return NULL;
}

bool acpi_checksum_ok(const struct acpi_header *table)
{
	const uint8_t *bytes = (const uint8_t *)table;
	uint8_t sum = 0;

	for (uint32_t i = 0; i < table->length; i++) {
		sum = (uint8_t)(sum + bytes[i]);
	}
	return sum == 0;
}

uint64_t acpi_ecam_gpa(void)
{
	const struct acpi_header *mcfg = acpi_find_table("MCFG");
	const uint8_t *entry = (const uint8_t *)mcfg + 44;
	uint64_t gpa = 0;
	uint16_t segment = 0;

	if (mcfg == NULL || mcfg->length < 60) {
		return 0;
	}
	memcpy(&gpa, entry, 8);
	memcpy(&segment, entry + 8, 2);
	if (segment != 0 || entry[10] != 0) {
		return 0;
	}
	paging_map(gpa, 1 << 20);
	return gpa;
}
