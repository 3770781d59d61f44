/* SPDX-License-Identifier: Apache-2.0 */
/* The dirty log of guest_memory.h: which pages this process wrote, told to the core. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "devworkers/common/guest_memory.h"

#define PAGES_PER_BYTE 8U
#define PAGES_PER_WORD 64U
#define WORD_BYTES     sizeof(uint64_t)

size_t guest_memory_dirty_log_bytes(const struct guest_memory *memory)
{
	const struct guest_memory_region *last;
	uint64_t pages, bytes;

	if (memory->region_count == 0)
		return 0;
	last = &memory->regions[memory->region_count - 1];
	pages = last->first_page + last->size_bytes / GUEST_PAGE_SIZE;
	bytes = (pages + PAGES_PER_BYTE - 1) / PAGES_PER_BYTE;
	/* Bits are set a word at a time: the last word must be there whole. */
	return (bytes + WORD_BYTES - 1) / WORD_BYTES * WORD_BYTES;
}

static int check_log_file(int fd, size_t bytes, struct error *err)
{
	struct stat status;
	int seals;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "dirty log");
	if (!S_ISREG(status.st_mode) || status.st_size < (off_t)bytes)
		return error_set(err, -EINVAL, "dirty log is smaller than %zu bytes", bytes);
	/* Shrunk later, it would fault at the first mark. */
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return error_set(err, -EINVAL, "dirty log is not sealed against shrinking");
	return 0;
}

int guest_memory_dirty_log_start(struct guest_memory *memory, int fd, struct error *err)
{
	size_t bytes = guest_memory_dirty_log_bytes(memory);
	void *bitmap;
	int ret;

	if (bytes == 0)
		return error_set(err, -EINVAL, "dirty log without guest memory");
	ret = check_log_file(fd, bytes, err);
	if (ret < 0)
		return ret;
	bitmap = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bitmap == MAP_FAILED)
		return error_set_errno(err, -errno, "map dirty log");
	guest_memory_dirty_log_stop(memory);
	memory->dirty_bitmap = bitmap;
	memory->dirty_bitmap_bytes = bytes;
	return 0;
}

void guest_memory_dirty_log_stop(struct guest_memory *memory)
{
	if (memory->dirty_bitmap)
		munmap(memory->dirty_bitmap, memory->dirty_bitmap_bytes);
	memory->dirty_bitmap = NULL;
	memory->dirty_bitmap_bytes = 0;
}

static void mark_pages(uint64_t *bitmap, uint64_t first, uint64_t last)
{
	for (uint64_t page = first; page <= last;) {
		uint64_t word = page / PAGES_PER_WORD;
		uint64_t end = (word + 1) * PAGES_PER_WORD - 1;
		uint64_t mask = UINT64_MAX << (page % PAGES_PER_WORD);

		if (last < end)
			mask &= UINT64_MAX >> (end - last);
		/*
		 * The core fetches and clears a word, then copies its pages. Looking first whether
		 * the bits are set already would be wrong: that load could pass our data store, see
		 * the bit of an earlier round, and the core would clear it and copy the page before
		 * the data arrives. The locked OR orders data before bits.
		 */
		__atomic_fetch_or(&bitmap[word], mask, __ATOMIC_SEQ_CST);
		page = end + 1;
	}
}

void guest_memory_mark_dirty(const struct guest_memory *memory, const void *hva,
			     size_t length_bytes)
{
	const uint8_t *start = hva;

	if (!memory->dirty_bitmap || length_bytes == 0)
		return;
	for (unsigned i = 0; i < memory->region_count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		uint64_t offset = (uint64_t)((uintptr_t)start - (uintptr_t)region->hva);

		if (offset >= region->size_bytes)
			continue;
		assert(length_bytes <= region->size_bytes - offset);
		mark_pages(memory->dirty_bitmap, region->first_page + offset / GUEST_PAGE_SIZE,
			   region->first_page + (offset + length_bytes - 1) / GUEST_PAGE_SIZE);
		return;
	}
	assert(!"marked memory that is not the guest's");
}
