/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/x86_64/pvh_start_info.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "vmm/core/boot/memory_layout.h"
#include "vmm/core/platform/memory_map.h"

#define START_INFO_MAGIC   0x336ec578U /* "xEn3" with the top bit of 'E' set */
#define START_INFO_VERSION 1U

struct hvm_start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t module_list_gpa, cmdline_gpa, rsdp_gpa, memory_map_gpa;
	uint32_t memory_map_entries, reserved;
};

struct hvm_module {
	uint64_t gpa, size_bytes, cmdline_gpa, reserved;
};

struct hvm_memory_map_entry {
	uint64_t gpa, size_bytes;
	uint32_t type, reserved;
};

/* All of it as it lies in guest memory. */
struct start_info_page {
	struct hvm_start_info info;
	struct hvm_module initramfs;
	struct hvm_memory_map_entry memory_map[MEMORY_LAYOUT_MAX_RANGES];
};

_Static_assert(sizeof(struct hvm_start_info) == 56, "layout of the ABI");
_Static_assert(sizeof(struct hvm_module) == 32, "layout of the ABI");
_Static_assert(sizeof(struct hvm_memory_map_entry) == 24, "layout of the ABI");
_Static_assert(sizeof(struct start_info_page) <= MAP_BOOT_ZERO_PAGE - MAP_BOOT_START_INFO,
	       "must end before the zero page");

static void fill_memory_map(const struct guest_memory *memory, struct start_info_page *page)
{
	struct memory_range ranges[MEMORY_LAYOUT_MAX_RANGES];
	unsigned count = memory_layout_describe(memory, ranges);

	page->info.memory_map_entries = count;
	page->info.memory_map_gpa =
		MAP_BOOT_START_INFO + offsetof(struct start_info_page, memory_map);
	for (unsigned i = 0; i < count; i++)
		page->memory_map[i] = (struct hvm_memory_map_entry){
			.gpa = ranges[i].gpa,
			.size_bytes = ranges[i].size_bytes,
			.type = ranges[i].type,
		};
}

int pvh_write_start_info(const struct pvh_boot_data *data, const struct guest_memory *memory,
			 struct error *err)
{
	struct start_info_page page;

	memset(&page, 0, sizeof(page));
	page.info = (struct hvm_start_info){
		.magic = START_INFO_MAGIC,
		.version = START_INFO_VERSION,
		.cmdline_gpa = data->cmdline_gpa,
		.rsdp_gpa = data->rsdp_gpa,
	};
	if (data->initramfs_bytes > 0) {
		page.info.module_count = 1;
		page.info.module_list_gpa =
			MAP_BOOT_START_INFO + offsetof(struct start_info_page, initramfs);
		page.initramfs = (struct hvm_module){.gpa = data->initramfs_gpa,
						     .size_bytes = data->initramfs_bytes};
	}
	fill_memory_map(memory, &page);
	if (guest_memory_write(memory, MAP_BOOT_START_INFO, &page, sizeof(page)) < 0)
		return error_set(err, -ENOMEM, "no RAM for the start info at 0x%llx",
				 MAP_BOOT_START_INFO);
	return 0;
}
