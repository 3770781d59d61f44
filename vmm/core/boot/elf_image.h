/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load an ELF kernel (32- or 64-bit, x86) with a PVH entry point: the note XEN_ELFNOTE_PHYS32_ENTRY
 * names the physical address where the guest starts in 32-bit protected mode. Segments go to their
 * physical addresses.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_ELF_IMAGE_H
#define BULKHEAD_VMM_CORE_BOOT_ELF_IMAGE_H

#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"
#include "vmm/core/boot/boot_file.h"

struct elf_image {
	uint32_t entry_gpa;
	uint64_t end_gpa; /* first byte behind the highest segment, bss included */
};

/*
 * -EINVAL: not such a kernel, or malformed; -ENOMEM: a segment lies outside RAM or over the boot
 * data below 1 MiB. Guest memory may be partly written then.
 */
int elf_image_load(const struct boot_file *file, const struct guest_memory *memory,
		   struct elf_image *image, struct error *err);

#endif
