/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of an ELF file that a loader needs, with the 32- and the 64-bit layout brought to one
 * form. Values are as hostile as the file: only what the functions promise is checked.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_ELF_HEADER_H
#define BULKHEAD_VMM_CORE_BOOT_ELF_HEADER_H

#include <stdint.h>

#include "ipc/error.h"
#include "vmm/core/boot/boot_file.h"

#define ELF_MAX_SEGMENTS 64

struct elf_segment {
	uint32_t type; /* PT_LOAD, PT_NOTE, … */
	uint64_t offset, physical_address, file_bytes, memory_bytes, alignment;
};

struct elf_header {
	unsigned segment_count;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
};

/*
 * Read the header and the program headers. -EINVAL: not little-endian x86, or malformed. On success
 * every segment's file range lies in the file.
 */
int elf_header_read(const struct boot_file *file, struct elf_header *header, struct error *err);

#endif
