/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load a Linux bzImage for its 64-bit entry point (Linux/x86 boot protocol 2.12 or newer,
 * XLF_KERNEL_64) and build its zero page.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_X86_64_BZIMAGE_H
#define BULKHEAD_VMM_CORE_BOOT_X86_64_BZIMAGE_H

#include <asm/bootparam.h>
#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"
#include "vmm/core/boot/boot_file.h"

struct bzimage {
	struct setup_header header; /* as in the file, checked */
	uint64_t load_gpa;
	uint64_t entry_gpa;
	uint64_t end_gpa;	    /* of what the kernel needs before it knows the memory map */
	uint64_t initramfs_end_gpa; /* the initramfs must end at or below */
};

/* What the zero page points to. */
struct bzimage_boot_data {
	uint64_t cmdline_gpa, rsdp_gpa;
	uint64_t initramfs_gpa, initramfs_bytes; /* 0: none */
};

/* Check the header and read the kernel to guest memory. -EINVAL: malformed or too old; -ENOMEM. */
int bzimage_load(const struct boot_file *file, const struct guest_memory *memory,
		 struct bzimage *image, struct error *err);

/* -EINVAL when the kernel would cut the command line. */
int bzimage_check_cmdline(const struct boot_file *file, const struct bzimage *image,
			  const char *cmdline, struct error *err);

/* Write the zero page (struct boot_params) to MAP_BOOT_ZERO_PAGE. */
int bzimage_write_zero_page(const struct bzimage *image, const struct bzimage_boot_data *data,
			    const struct guest_memory *memory, struct error *err);

#endif
