/* SPDX-License-Identifier: Apache-2.0 */
#include "page_alloc.h"

#include "boot_info.h"
#include "guest.h"
#include "string.h"

extern char image_end[];

static uint64_t next_gpa;

uint64_t page_alloc_next_gpa(void)
{
	if (next_gpa == 0) {
		next_gpa = (uint64_t)(uintptr_t)image_end;
	}
	return next_gpa;
}

uint64_t page_alloc_available(void)
{
	const struct boot_info *info = boot_info_get();
	uint64_t gpa = page_alloc_next_gpa();

	for (uint32_t i = 0; i < info->memory_count; i++) {
		uint64_t end = info->memory[i].gpa + info->memory[i].size_bytes;

		if (info->memory[i].type == BOOT_MEMORY_RAM && gpa >= info->memory[i].gpa &&
		    gpa < end) {
			return (end - gpa) / PAGE_SIZE_BYTES;
		}
	}
	return 0;
}

void *page_alloc_unzeroed(size_t count)
{
	uint64_t gpa = page_alloc_next_gpa();

	if (count > page_alloc_available()) {
		guest_panic("out of memory");
	}
	next_gpa = gpa + count * PAGE_SIZE_BYTES;
	return (void *)(uintptr_t)gpa;
}

void *page_alloc(size_t count)
{
	return memset(page_alloc_unzeroed(count), 0, count * PAGE_SIZE_BYTES);
}
