/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/acpi_area.h"

#include <string.h>

#define TABLE_ALIGNMENT 64U /* the FACS needs it; for the others it does no harm */

void *acpi_area_take(struct acpi_area *area, size_t size_bytes, uint64_t *gpa)
{
	size_t start = (area->used_bytes + TABLE_ALIGNMENT - 1) & ~(size_t)(TABLE_ALIGNMENT - 1);

	if (start > area->size_bytes || size_bytes > area->size_bytes - start)
		return NULL;
	area->used_bytes = start + size_bytes;
	*gpa = area->gpa + start;
	memset(area->hva + start, 0, size_bytes);
	return area->hva + start;
}

void *acpi_area_take_table(struct acpi_area *area, const char *signature, uint8_t revision,
			   size_t size_bytes, uint64_t *gpa)
{
	struct acpi_header *header = acpi_area_take(area, size_bytes, gpa);

	if (!header)
		return NULL;
	memcpy(header->signature, signature, sizeof(header->signature));
	header->length = (uint32_t)size_bytes;
	header->revision = revision;
	memcpy(header->oem_id, ACPI_OEM_ID, sizeof(header->oem_id));
	memcpy(header->oem_table_id, "BULKHEAD", sizeof(header->oem_table_id));
	header->oem_revision = 1;
	memcpy(header->creator_id, "BLKH", sizeof(header->creator_id));
	header->creator_revision = 1;
	return header;
}

uint8_t acpi_checksum(const void *bytes, size_t length_bytes)
{
	const uint8_t *at = bytes;
	uint8_t sum = 0;

	for (size_t i = 0; i < length_bytes; i++)
		sum = (uint8_t)(sum + at[i]);
	return (uint8_t)(0U - sum);
}

void acpi_table_seal(void *table)
{
	struct acpi_header *header = table;

	header->checksum = 0;
	header->checksum = acpi_checksum(table, header->length);
}
