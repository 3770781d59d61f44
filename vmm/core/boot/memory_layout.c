/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/memory_layout.h"

#include <errno.h>
#include <inttypes.h>

#include "vmm/core/platform/memory_map.h"

uint64_t memory_layout_low_end(const struct guest_memory *memory)
{
	if (memory->region_count == 0 || memory->regions[0].gpa != 0)
		return 0;
	return memory->regions[0].size_bytes;
}

int memory_layout_check(const struct guest_memory *memory, struct error *err)
{
	uint64_t end = memory_layout_low_end(memory);

	if (end <= MAP_HIGH_RAM)
		return error_set(
			err, -EINVAL,
			"guest memory must begin at 0 and be larger than 1 MiB, not %" PRIu64
			" bytes",
			end);
	return 0;
}

unsigned memory_layout_describe(const struct guest_memory *memory,
				struct memory_range ranges[MEMORY_LAYOUT_MAX_RANGES])
{
	uint64_t low_end = memory_layout_low_end(memory);
	unsigned count = 0;

	ranges[count++] = (struct memory_range){0, MAP_EBDA_START, MEMORY_RANGE_RAM};
	ranges[count++] = (struct memory_range){MAP_ACPI_START, MAP_ACPI_END - MAP_ACPI_START,
						MEMORY_RANGE_RESERVED};
	ranges[count++] =
		(struct memory_range){MAP_HIGH_RAM, low_end - MAP_HIGH_RAM, MEMORY_RANGE_RAM};
	/* Linux wants to see the ECAM reserved before it can ask ACPI for it. */
	ranges[count++] =
		(struct memory_range){MAP_ECAM_START, MAP_ECAM_SIZE, MEMORY_RANGE_RESERVED};
	for (unsigned i = 1; i < memory->region_count; i++)
		ranges[count++] = (struct memory_range){
			memory->regions[i].gpa, memory->regions[i].size_bytes, MEMORY_RANGE_RAM};
	return count;
}

int memory_layout_load_initramfs(const struct boot_file *initramfs,
				 const struct guest_memory *memory, uint64_t kernel_end_gpa,
				 uint64_t limit_gpa, uint64_t *gpa, struct error *err)
{
	uint64_t end = memory_layout_low_end(memory);
	uint64_t start;

	if (end > limit_gpa)
		end = limit_gpa;
	if (initramfs->size_bytes > end)
		start = 0;
	else
		start = (end - initramfs->size_bytes) & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
	if (start < kernel_end_gpa)
		return error_set(err, -ENOMEM,
				 "%s (%" PRIu64
				 " MiB) does not fit between the kernel, which ends at "
				 "%" PRIu64 " MiB, and %" PRIu64
				 " MiB: give the VM more memory or make it smaller",
				 initramfs->path, (initramfs->size_bytes >> 20) + 1,
				 kernel_end_gpa >> 20, end >> 20);
	*gpa = start;
	return boot_file_load(initramfs, 0, initramfs->size_bytes, memory, start, err);
}
