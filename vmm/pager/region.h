/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One region of guest memory as the snapshot holds it: a file of chunks, a map of which chunks
 * there are, a checksum for each. The file is hostile: what does not fit its checksum is never
 * handed out. Memory is served in units: a chunk, or a page where pages are larger than chunks.
 */
#ifndef BULKHEAD_VMM_PAGER_REGION_H
#define BULKHEAD_VMM_PAGER_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

#define REGION_CHECKSUM_BYTES  16
#define REGION_MIN_CHUNK_BYTES (4U << 10)
#define REGION_MAX_CHUNK_BYTES (4U << 20)
#define REGION_SMALL_PAGE      (4U << 10)
#define REGION_HUGE_PAGE       (2U << 20)
#define REGION_MAX_UNIT_BYTES  REGION_MAX_CHUNK_BYTES

struct region {
	uint64_t size_bytes;
	uint32_t chunk_bytes;
	uint32_t page_bytes;
	uint32_t unit_bytes;
	uint64_t unit_count;
	uint64_t core_address; /* where the core has mapped it */
	int fd;		       /* the memory file, owned */
	uint64_t present_bytes;

	/* In the index: a bit a chunk, and checksums of those that are set. Borrowed. */
	const uint64_t *present;
	const uint8_t *checksums;
	uint32_t *ranks;  /* bits set before each word of present; owned */
	uint64_t *placed; /* a bit a unit: all of it was put into memory; owned */

	/* Holes are filled further ahead the longer they are walked through. */
	uint64_t hole_next;
	uint64_t hole_ahead_bytes;
};

struct region_layout {
	uint64_t size_bytes;
	uint32_t chunk_bytes;
	uint32_t page_bytes;
	uint64_t core_address;
	bool file_is_done; /* it is not read any more: its size does not matter */
};

/*
 * Set up a region. *index and *index_bytes are what is left of the index (8-byte aligned, borrowed
 * until region_destroy()); the region's part is taken off. file_fd is taken on success. -EINVAL:
 * the numbers do not fit together, the index is too short, the file is not a regular one or has
 * another size.
 */
int region_init(struct region *region, const struct region_layout *layout, const uint8_t **index,
		size_t *index_bytes, int file_fd, struct error *err);
void region_destroy(struct region *region); /* accepts a zeroed one with fd -1 */

/* Does the snapshot hold anything of this unit? */
bool region_has_unit(const struct region *region, uint64_t unit);

/* Bytes of the chunks of this unit that the snapshot holds. */
uint64_t region_unit_present_bytes(const struct region *region, uint64_t unit);

/*
 * Read a unit into to (unit_bytes), absent chunks as zeros, each present one checked. -EINVAL or
 * another negative errno: err says what is wrong and *bad_offset where; to holds nothing of use.
 */
int region_read_unit(const struct region *region, uint64_t unit, uint8_t *to, uint64_t *bad_offset,
		     struct error *err);

bool region_is_placed(const struct region *region, uint64_t unit);
void region_set_placed(struct region *region, uint64_t unit);

/*
 * How much to fill with zeros for a fault in the absent unit: *bytes from the unit's start on,
 * whole units, all absent and not placed; more each time that the last run is gone on with.
 */
void region_hole_run(struct region *region, uint64_t unit, uint64_t *bytes);

#endif
