/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One region of guest memory as a sparse file: chunks that the guest never wrote, or that read as
 * zeros, are holes; every other chunk has a checksum in the manifest. Writing and reading run on a
 * thread of the loop's pool; nothing here assumes that the guest stands still, only that a chunk is
 * copied before it is hashed.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_MEMORY_FILE_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_MEMORY_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"

#define MEMORY_FILE_CHUNK_BYTES	    (64U << 10)
#define MEMORY_FILE_MIN_CHUNK_BYTES (4U << 10)
#define MEMORY_FILE_MAX_CHUNK_BYTES (4U << 20)

/* Seen from other threads while the work runs. */
struct memory_progress {
	_Atomic uint64_t done_bytes;   /* of guest memory looked at */
	_Atomic uint64_t stored_bytes; /* of them written or read */
	_Atomic bool cancelled;	       /* set by anybody: the work ends with -ECANCELED */
};

/* Which chunks there are, and their checksums in order: the manifest's two fields. */
struct memory_index {
	uint32_t chunk_bytes;
	uint64_t chunk_count;
	uint8_t *present; /* (chunk_count + 7) / 8 bytes, owned */
	size_t present_bytes;
	uint8_t *checksums; /* SNAPSHOT_CHECKSUM_BYTES for each present chunk, owned */
	size_t checksums_bytes;
};

void memory_index_destroy(struct memory_index *index); /* accepts a zeroed one */
bool memory_index_has(const struct memory_index *index, uint64_t chunk);

/* Write region into fd (empty, a regular file) and flush it; fill index. */
int memory_file_write(const struct guest_memory_region *region, int fd, struct memory_index *index,
		      struct memory_progress *progress, struct error *err);

/* Make all of region zeros, as a restore needs it: a backing file may hold another VM's memory. */
int memory_file_clear(const struct guest_memory_region *region, struct error *err);

/*
 * Clear region and read fd into it, checking each chunk before it is used. The file and the index
 * are hostile: -EINVAL or -EIO name what does not fit.
 */
int memory_file_read(const struct guest_memory_region *region, int fd,
		     const struct memory_index *index, struct memory_progress *progress,
		     struct error *err);

/* Check every chunk against its checksum without a VM. */
int memory_file_verify(int fd, uint64_t size_bytes, const struct memory_index *index,
		       struct memory_progress *progress, struct error *err);

#endif
