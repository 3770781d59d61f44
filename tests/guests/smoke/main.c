/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest guest that speaks: shows what the loader handed over and powers off. */
#include "boot_info.h"
#include "cmdline.h"
#include "guest.h"
#include "print.h"

extern char image_start[];
extern char image_end[];

static void smoke_print_memory_map(const struct boot_info *info)
{
	for (uint32_t i = 0; i < info->memory_count; i++) {
		const struct boot_memory_range *range = &info->memory[i];

		print("memory %012lx-%012lx type %u\n", range->gpa,
		      range->gpa + range->size_bytes - 1, range->type);
	}
	print("memory total %lu KiB\n", boot_info_ram_bytes() / 1024);
}

static bool smoke_memory_map_is_sane(const struct boot_info *info)
{
	for (uint32_t i = 0; i < info->memory_count; i++) {
		const struct boot_memory_range *left = &info->memory[i];

		for (uint32_t j = i + 1; j < info->memory_count; j++) {
			const struct boot_memory_range *right = &info->memory[j];

			if (left->gpa < right->gpa + right->size_bytes &&
			    right->gpa < left->gpa + left->size_bytes) {
				return false;
			}
		}
		if (left->size_bytes == 0 || left->gpa + left->size_bytes < left->gpa) {
			return false;
		}
	}
	return info->memory_count > 0;
}

void guest_main(void)
{
	const struct boot_info *info = boot_info_get();
	uint64_t image_size_bytes = (uint64_t)(image_end - image_start);

	print("hello from the guest\n");
	print("cmdline \"%s\"\n", cmdline_get());
	print("start info version %u modules %u rsdp %lx\n", info->version, info->module_count,
	      info->rsdp_gpa);
	smoke_print_memory_map(info);
	test_check("memory_map_is_sane", smoke_memory_map_is_sane(info),
		   "empty or overlapping ranges");
	test_check("image_lies_in_ram",
		   boot_info_is_ram((uint64_t)(uintptr_t)image_start, image_size_bytes),
		   "the memory map does not cover the image");
	test_check("rsdp_is_named", info->rsdp_gpa != 0, "rsdp_paddr is 0");
}
