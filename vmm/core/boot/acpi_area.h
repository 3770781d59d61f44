/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory in which ACPI tables are laid one behind the other, each with header and checksum.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_ACPI_AREA_H
#define BULKHEAD_VMM_CORE_BOOT_ACPI_AREA_H

#include <stddef.h>
#include <stdint.h>

/* ACPI 6.5, 5.2.6: the header of every table but RSDP and FACS. */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

/* ACPI 6.5, 5.2.3.2: generic address structure. */
struct acpi_address {
	uint8_t space, bit_width, bit_offset, access_size;
	uint64_t address;
} __attribute__((packed));

struct acpi_area {
	uint8_t *hva;
	uint64_t gpa;
	size_t size_bytes, used_bytes;
};

#define ACPI_OEM_ID "BLKHD "

/* size_bytes of zeros at a 64-byte boundary and its address; NULL when the area is full. */
void *acpi_area_take(struct acpi_area *area, size_t size_bytes, uint64_t *gpa);

/* As acpi_area_take, beginning with a table header that lacks only its checksum. */
void *acpi_area_take_table(struct acpi_area *area, const char *signature, uint8_t revision,
			   size_t size_bytes, uint64_t *gpa);

/* The byte that makes the sum of length_bytes from bytes on zero, which holds 0 until now. */
uint8_t acpi_checksum(const void *bytes, size_t length_bytes);

/* Set the checksum of a finished table. */
void acpi_table_seal(void *table);

#endif
