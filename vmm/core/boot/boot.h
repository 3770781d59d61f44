/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put a kernel, its initramfs, command line, memory map and ACPI tables into guest memory and say
 * how the boot CPU starts. Files are hostile: every field of an image is checked before it is used.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_BOOT_H
#define BULKHEAD_VMM_CORE_BOOT_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"

enum boot_protocol {
	BOOT_LINUX64, /* bzImage, 64-bit entry: long mode, rsi = zero page (Linux boot protocol) */
	BOOT_PVH, /* ELF with XEN_ELFNOTE_PHYS32_ENTRY: 32-bit protected mode, ebx = start info */
};

struct boot_request {
	int kernel_fd;				  /* regular file, borrowed; read with pread */
	int initramfs_fd;			  /* -1: none */
	const char *kernel_path, *initramfs_path; /* for messages */
	const char *cmdline;			  /* "" for none */
	unsigned cpus_boot, cpus_max;
};

struct boot_entry {
	enum boot_protocol protocol;
	uint64_t rip;
	uint64_t boot_data_gpa; /* zero page, or hvm_start_info */
};

/* Load everything. memory's regions are RAM. err names the file and what is wrong with it. */
int boot_load(const struct boot_request *request, const struct guest_memory *memory,
	      struct boot_entry *entry, struct error *err);

/*
 * Guest-physical address of the 16-byte VM generation id inside the ACPI area, as the DSDT
 * publishes it (Microsoft, "Virtual Machine Generation ID"). boot_load() puts a fresh random id
 * there; whoever makes a clone writes another and notifies GPE_VMGENID.
 */
uint64_t boot_vmgenid_gpa(void);

#endif
