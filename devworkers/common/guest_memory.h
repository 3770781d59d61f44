/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest physical memory as mapped in this process, and the one checked translator through which
 * every guest-supplied address goes. Regions never change while in use; reads need no lock. The
 * guest may change the contents at any moment: read a value once, then check and use the copy.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_GUEST_MEMORY_H
#define BULKHEAD_DEVWORKERS_COMMON_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

#define GUEST_MEMORY_MAX_REGIONS 4
#define GUEST_PAGE_SIZE		 4096U

struct guest_memory_region {
	uint64_t gpa; /* page aligned */
	uint64_t size_bytes;
	uint8_t *hva;
	int fd; /* owned, or -1 */
	uint64_t file_offset;
	uint64_t first_page; /* index of the region's first bit in the dirty log */
};

struct guest_memory {
	unsigned region_count;
	struct guest_memory_region
		regions[GUEST_MEMORY_MAX_REGIONS]; /* ascending, not overlapping */
	uint64_t *dirty_bitmap;			   /* NULL: logging is off; shared with the core */
	size_t dirty_bitmap_bytes;
};

#define GUEST_MEMORY_INIT                                                                          \
	{                                                                                          \
		0                                                                                  \
	}

/*
 * Map a region of fd MAP_SHARED and append it. Takes the fd on success. -EINVAL: not page aligned,
 * empty, overlapping, not ascending, past 2^52 or past the end of the file (a mapping past the end
 * would fault).
 */
int guest_memory_add_region(struct guest_memory *memory, uint64_t gpa, uint64_t size_bytes, int fd,
			    uint64_t file_offset, struct error *err);

/* Unmap all, close fds, stop dirty logging. Accepts a zeroed or half-built object. */
void guest_memory_destroy(struct guest_memory *memory);

/* Sum of all region sizes. */
uint64_t guest_memory_size_bytes(const struct guest_memory *memory);

/*
 * Host address of [gpa, gpa + length_bytes), or NULL unless the whole range, which must not be
 * empty, lies in one region.
 */
void *guest_memory_translate(const struct guest_memory *memory, uint64_t gpa,
			     uint64_t length_bytes);

/* Copy out of or into guest memory; -EFAULT when the range is not wholly in one region. write marks
 * dirty. */
int guest_memory_read(const struct guest_memory *memory, uint64_t gpa, void *to,
		      size_t length_bytes);
int guest_memory_write(const struct guest_memory *memory, uint64_t gpa, const void *from,
		       size_t length_bytes);

/* Bytes of a dirty bitmap that covers all regions (proto/worker.proto, DirtyLog), a multiple of 8.
 */
size_t guest_memory_dirty_log_bytes(const struct guest_memory *memory);

/* Start logging into fd (a memfd of at least that size with F_SEAL_SHRINK; checked). Not taken. A
 * log that is on is replaced. */
int guest_memory_dirty_log_start(struct guest_memory *memory, int fd, struct error *err);
void guest_memory_dirty_log_stop(struct guest_memory *memory);

/*
 * Record that this process wrote [hva, hva + length_bytes), which lies in one region. Cheap when
 * logging is off. Any thread, but none may be in here while the log is started or stopped: in a
 * worker that means the loop's thread, or a drained device. Must be called after the write and
 * before its completion is published.
 */
void guest_memory_mark_dirty(const struct guest_memory *memory, const void *hva,
			     size_t length_bytes);

#endif
