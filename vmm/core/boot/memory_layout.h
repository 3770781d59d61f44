/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which guest-physical ranges the guest is told to be RAM, and where the initramfs goes. Types are
 * those of E820 (ACPI 6.5, 15.1), which PVH shares.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_MEMORY_LAYOUT_H
#define BULKHEAD_VMM_CORE_BOOT_MEMORY_LAYOUT_H

#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"
#include "vmm/core/boot/boot_file.h"

#define MEMORY_RANGE_RAM      1
#define MEMORY_RANGE_RESERVED 2

struct memory_range {
	uint64_t gpa, size_bytes;
	uint32_t type;
};

#define MEMORY_LAYOUT_MAX_RANGES (GUEST_MEMORY_MAX_REGIONS + 4)

/* First address behind the RAM that starts at 0: 0 if there is none. */
uint64_t memory_layout_low_end(const struct guest_memory *memory);

/* -EINVAL unless RAM starts at 0 and goes beyond 1 MiB: the least that a kernel can be put into. */
int memory_layout_check(const struct guest_memory *memory, struct error *err);

/* Fill ranges in ascending order; returns how many. */
unsigned memory_layout_describe(const struct guest_memory *memory,
				struct memory_range ranges[MEMORY_LAYOUT_MAX_RANGES]);

/*
 * Read the initramfs to the highest page-aligned place that ends at or below limit_gpa and below
 * the hole, and does not begin before kernel_end_gpa. -ENOMEM when it does not fit. *gpa is where
 * it lies.
 */
int memory_layout_load_initramfs(const struct boot_file *initramfs,
				 const struct guest_memory *memory, uint64_t kernel_end_gpa,
				 uint64_t limit_gpa, uint64_t *gpa, struct error *err);

#endif
