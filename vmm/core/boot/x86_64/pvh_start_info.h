/* SPDX-License-Identifier: Apache-2.0 */
/* The hvm_start_info of a PVH guest (Xen x86/HVM direct boot ABI), version 1. */
#ifndef BULKHEAD_VMM_CORE_BOOT_X86_64_PVH_START_INFO_H
#define BULKHEAD_VMM_CORE_BOOT_X86_64_PVH_START_INFO_H

#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"

struct pvh_boot_data {
	uint64_t cmdline_gpa, rsdp_gpa;
	uint64_t initramfs_gpa, initramfs_bytes; /* 0: none */
};

/* Write start info, module list and memory map to MAP_BOOT_START_INFO. */
int pvh_write_start_info(const struct pvh_boot_data *data, const struct guest_memory *memory,
			 struct error *err);

#endif
