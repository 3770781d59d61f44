/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/common/guest_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ipc/cleanup.h"

/* No x86_64 or aarch64 machine has more physical address bits than this. */
#define GUEST_PHYSICAL_LIMIT (UINT64_C(1) << 52)

#define PAGES_PER_BYTE 8U

static bool is_page_aligned(uint64_t value)
{
	return value % GUEST_PAGE_SIZE == 0;
}

static int check_placement(const struct guest_memory *memory, uint64_t gpa, uint64_t size_bytes,
			   struct error *err)
{
	const struct guest_memory_region *last;

	if (memory->region_count >= GUEST_MEMORY_MAX_REGIONS)
		return error_set(err, -EINVAL, "more than %d memory regions",
				 GUEST_MEMORY_MAX_REGIONS);
	if (!is_page_aligned(gpa) || !is_page_aligned(size_bytes) || size_bytes == 0)
		return error_set(err, -EINVAL,
				 "memory region 0x%" PRIx64 "+0x%" PRIx64
				 " is empty or not page aligned",
				 gpa, size_bytes);
	if (size_bytes > GUEST_PHYSICAL_LIMIT || gpa > GUEST_PHYSICAL_LIMIT - size_bytes)
		return error_set(err, -EINVAL,
				 "memory region 0x%" PRIx64 "+0x%" PRIx64
				 " ends past the physical address space",
				 gpa, size_bytes);
	if (memory->region_count == 0)
		return 0;
	last = &memory->regions[memory->region_count - 1];
	if (gpa < last->gpa + last->size_bytes)
		return error_set(
			err, -EINVAL,
			"memory region 0x%" PRIx64 " overlaps or precedes the one before it", gpa);
	return 0;
}

static int check_file(int fd, uint64_t size_bytes, uint64_t file_offset, struct error *err)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "memory file");
	if (!S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "memory file is not a regular file");
	if (!is_page_aligned(file_offset))
		return error_set(err, -EINVAL, "memory file offset is not page aligned");
	if (size_bytes > (uint64_t)status.st_size ||
	    file_offset > (uint64_t)status.st_size - size_bytes)
		return error_set(err, -EINVAL,
				 "memory file of %" PRIu64 " bytes ends before the region",
				 (uint64_t)status.st_size);
	return 0;
}

/* Dirty log bits of a region: its pages, rounded up to whole bytes. */
static uint64_t dirty_log_pages(const struct guest_memory_region *region)
{
	uint64_t pages = region->size_bytes / GUEST_PAGE_SIZE;

	return (pages + PAGES_PER_BYTE - 1) / PAGES_PER_BYTE * PAGES_PER_BYTE;
}

int guest_memory_add_region(struct guest_memory *memory, uint64_t gpa, uint64_t size_bytes, int fd,
			    uint64_t file_offset, struct error *err)
{
	struct guest_memory_region *region;
	uint64_t first_page = 0;
	void *hva;
	int ret;

	ret = check_placement(memory, gpa, size_bytes, err);
	if (ret < 0)
		return ret;
	ret = check_file(fd, size_bytes, file_offset, err);
	if (ret < 0)
		return ret;
	hva = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)file_offset);
	if (hva == MAP_FAILED)
		return error_set_errno(err, -errno, "map memory region 0x%" PRIx64, gpa);
	if (memory->region_count > 0) {
		const struct guest_memory_region *last = &memory->regions[memory->region_count - 1];

		first_page = last->first_page + dirty_log_pages(last);
	}
	region = &memory->regions[memory->region_count++];
	*region = (struct guest_memory_region){
		.gpa = gpa,
		.size_bytes = size_bytes,
		.hva = hva,
		.fd = fd,
		.file_offset = file_offset,
		.first_page = first_page,
	};
	return 0;
}

void guest_memory_destroy(struct guest_memory *memory)
{
	guest_memory_dirty_log_stop(memory);
	for (unsigned i = 0; i < memory->region_count; i++) {
		struct guest_memory_region *region = &memory->regions[i];

		if (region->hva)
			munmap(region->hva, region->size_bytes);
		fd_close(&region->fd);
	}
	memset(memory, 0, sizeof(*memory));
}

uint64_t guest_memory_size_bytes(const struct guest_memory *memory)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < memory->region_count; i++)
		total += memory->regions[i].size_bytes;
	return total;
}

void *guest_memory_translate(const struct guest_memory *memory, uint64_t gpa, uint64_t length_bytes)
{
	if (length_bytes == 0)
		return NULL;
	for (unsigned i = 0; i < memory->region_count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		uint64_t offset = gpa - region->gpa; /* wraps below the region: then too large */

		if (offset < region->size_bytes)
			return length_bytes <= region->size_bytes - offset ? region->hva + offset
									   : NULL;
	}
	return NULL;
}

int guest_memory_read(const struct guest_memory *memory, uint64_t gpa, void *to,
		      size_t length_bytes)
{
	const void *hva = guest_memory_translate(memory, gpa, length_bytes);

	if (!hva)
		return -EFAULT;
	memcpy(to, hva, length_bytes);
	return 0;
}

int guest_memory_write(const struct guest_memory *memory, uint64_t gpa, const void *from,
		       size_t length_bytes)
{
	void *hva = guest_memory_translate(memory, gpa, length_bytes);

	if (!hva)
		return -EFAULT;
	memcpy(hva, from, length_bytes);
	guest_memory_mark_dirty(memory, hva, length_bytes);
	return 0;
}
