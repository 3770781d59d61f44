/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader told us (Xen hvm_start_info, PVH boot ABI). Everything is copied out at start,
 * so that guests may overwrite low memory afterwards.
 */
#ifndef GUEST_BOOT_INFO_H
#define GUEST_BOOT_INFO_H

#include <stdbool.h>
#include <stdint.h>

#define BOOT_MEMORY_RAM 1
#define BOOT_MEMORY_MAX 32

struct boot_memory_range {
	uint64_t gpa;
	uint64_t size_bytes;
	uint32_t type; /* E820 types: 1 is RAM */
};

struct boot_info {
	bool magic_ok;
	uint32_t version;
	uint32_t module_count;
	uint64_t rsdp_gpa; /* 0 if the loader gave none */
	uint32_t memory_count;
	struct boot_memory_range memory[BOOT_MEMORY_MAX];
};

/* Copies the start info at gpa, its memory map and its command line. Called once, by guest_start().
 */
void boot_info_parse(uint64_t start_info_gpa);

/* The parsed start info. */
const struct boot_info *boot_info_get(void);

/* True if [gpa, gpa + size_bytes) is RAM within one range of the memory map. */
bool boot_info_is_ram(uint64_t gpa, uint64_t size_bytes);

/* Sum of all RAM ranges. */
uint64_t boot_info_ram_bytes(void);

#endif
