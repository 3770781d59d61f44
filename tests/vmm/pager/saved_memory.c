/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/pager/saved_memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xxhash.h>

#define CHECKSUM_BYTES 16

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void chunk_fill(struct saved_memory *saved, unsigned chunk)
{
	uint8_t *data = saved->content + (size_t)chunk * saved->chunk_bytes;

	for (uint32_t i = 0; i < saved->chunk_bytes; i += 4) {
		uint32_t word = chunk * 2654435761U + i;

		memcpy(data + i, &word, sizeof(word));
	}
}

static void chunk_save(struct saved_memory *saved, unsigned chunk)
{
	uint8_t *data = saved->content + (size_t)chunk * saved->chunk_bytes;
	XXH128_canonical_t sum;

	XXH128_canonicalFromHash(&sum, XXH3_128bits(data, saved->chunk_bytes));
	saved->index[chunk / 8] |= (uint8_t)(1U << (chunk % 8));
	memcpy(saved->index + saved->index_bytes, sum.digest, CHECKSUM_BYTES);
	saved->index_bytes += CHECKSUM_BYTES;
	must(pwrite(saved->fd, data, saved->chunk_bytes, (off_t)chunk * saved->chunk_bytes) ==
	     (ssize_t)saved->chunk_bytes);
}

static void saved_memory_begin(struct saved_memory *saved, unsigned chunks, uint32_t chunk_bytes)
{
	*saved = (struct saved_memory){.chunks = chunks, .chunk_bytes = chunk_bytes};
	saved->map_bytes = (chunks + 63) / 64 * 8;
	saved->content = calloc(chunks, chunk_bytes);
	saved->index = calloc(1, saved->map_bytes + (size_t)chunks * CHECKSUM_BYTES);
	saved->index_bytes = saved->map_bytes;
	saved->fd = memfd_create("saved-memory", MFD_CLOEXEC);
	must(saved->content && saved->index && saved->fd >= 0);
	must(ftruncate(saved->fd, (off_t)chunks * chunk_bytes) == 0);
}

void saved_memory_make(struct saved_memory *saved, unsigned chunks, uint32_t chunk_bytes)
{
	saved_memory_begin(saved, chunks, chunk_bytes);
	for (unsigned chunk = 0; chunk < chunks; chunk++)
		if (chunk % 3 != 1) {
			chunk_fill(saved, chunk);
			chunk_save(saved, chunk);
		}
}

void saved_memory_take(struct saved_memory *saved, const uint8_t *content, unsigned chunks,
		       uint32_t chunk_bytes)
{
	saved_memory_begin(saved, chunks, chunk_bytes);
	memcpy(saved->content, content, (size_t)chunks * chunk_bytes);
	for (unsigned chunk = 0; chunk < chunks; chunk++)
		chunk_save(saved, chunk);
}

void saved_memory_destroy(struct saved_memory *saved)
{
	close(saved->fd);
	free(saved->content);
	free(saved->index);
}

bool saved_memory_has(const struct saved_memory *saved, uint64_t chunk)
{
	return saved->index[chunk / 8] & (1U << (chunk % 8));
}

void saved_memory_flip_bit(const struct saved_memory *saved, uint64_t offset)
{
	uint8_t byte;

	must(pread(saved->fd, &byte, 1, (off_t)offset) == 1);
	byte ^= 0x10;
	must(pwrite(saved->fd, &byte, 1, (off_t)offset) == 1);
}

int saved_memory_index_file(const struct saved_memory *saved)
{
	int fd = memfd_create("index", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0 && write(fd, saved->index, saved->index_bytes) == (ssize_t)saved->index_bytes);
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
	return fd;
}
