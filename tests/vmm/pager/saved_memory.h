/* SPDX-License-Identifier: Apache-2.0 */
/* A memory file as a snapshot holds it, made up: a third of its chunks are holes. */
#ifndef BULKHEAD_TESTS_VMM_PAGER_SAVED_MEMORY_H
#define BULKHEAD_TESTS_VMM_PAGER_SAVED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct saved_memory {
	int fd; /* the file */
	unsigned chunks;
	uint32_t chunk_bytes;
	uint8_t *content; /* what memory must be */
	uint8_t *index;	  /* as proto/pager.proto has it, 8-byte aligned */
	size_t index_bytes;
	size_t map_bytes; /* of the chunk map in front of the checksums */
};

/* Aborts the test on failure. */
void saved_memory_make(struct saved_memory *saved, unsigned chunks, uint32_t chunk_bytes);
/* All of content, without holes. */
void saved_memory_take(struct saved_memory *saved, const uint8_t *content, unsigned chunks,
		       uint32_t chunk_bytes);
void saved_memory_destroy(struct saved_memory *saved);

bool saved_memory_has(const struct saved_memory *saved, uint64_t chunk);

/* Damage the file. */
void saved_memory_flip_bit(const struct saved_memory *saved, uint64_t offset);

/* The index as a sealed memfd, owned by the caller. */
int saved_memory_index_file(const struct saved_memory *saved);

#endif
