/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_info.h"

#include <stddef.h>

#include "cmdline.h"
#include "string.h"

#define START_INFO_MAGIC 0x336EC578u

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t module_list_gpa;
	uint64_t cmdline_gpa;
	uint64_t rsdp_gpa;
	uint64_t memory_map_gpa; /* from version 1 on */
	uint32_t memory_map_entries;
	uint32_t reserved;
};

struct memory_map_entry {
	uint64_t gpa;
	uint64_t size_bytes;
	uint32_t type;
	uint32_t reserved;
};

static struct boot_info boot_info;

static void boot_info_copy_memory_map(const struct start_info *info)
{
	const struct memory_map_entry *entries =
		(const struct memory_map_entry *)(uintptr_t)info->memory_map_gpa;
	uint32_t count = info->memory_map_entries;

	if (count > BOOT_MEMORY_MAX) {
		count = BOOT_MEMORY_MAX;
	}
	for (uint32_t i = 0; i < count; i++) {
		boot_info.memory[i] = (struct boot_memory_range){
			.gpa = entries[i].gpa,
			.size_bytes = entries[i].size_bytes,
			.type = entries[i].type,
		};
	}
	boot_info.memory_count = count;
}

void boot_info_parse(uint64_t start_info_gpa)
{
	const struct start_info *info = (const struct start_info *)(uintptr_t)start_info_gpa;

	boot_info.magic_ok = info->magic == START_INFO_MAGIC;
	if (!boot_info.magic_ok) {
		return;
	}
	boot_info.version = info->version;
	boot_info.module_count = info->module_count;
	boot_info.rsdp_gpa = info->rsdp_gpa;
	if (info->version >= 1) {
		boot_info_copy_memory_map(info);
	}
	if (info->cmdline_gpa != 0) {
		cmdline_set((const char *)(uintptr_t)info->cmdline_gpa);
	}
}

const struct boot_info *boot_info_get(void)
{
	return &boot_info;
}

bool boot_info_is_ram(uint64_t gpa, uint64_t size_bytes)
{
	for (uint32_t i = 0; i < boot_info.memory_count; i++) {
		const struct boot_memory_range *range = &boot_info.memory[i];

		if (range->type == BOOT_MEMORY_RAM && gpa >= range->gpa &&
		    size_bytes <= range->size_bytes &&
		    gpa - range->gpa <= range->size_bytes - size_bytes) {
			return true;
		}
	}
	return false;
}

uint64_t boot_info_ram_bytes(void)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < boot_info.memory_count; i++) {
		if (boot_info.memory[i].type == BOOT_MEMORY_RAM) {
			total += boot_info.memory[i].size_bytes;
		}
	}
	return total;
}
