/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/snapshot/memory_output.h"
#include "vmm/core/snapshot/snapshot_file.h"

void memory_index_destroy(struct memory_index *index)
{
	free(index->present);
	free(index->checksums);
	*index = (struct memory_index){0};
}

bool memory_index_has(const struct memory_index *index, uint64_t chunk)
{
	return index->present[chunk / 8] & (1U << (chunk % 8));
}

static int memory_index_create(struct memory_index *index, uint64_t size_bytes, struct error *err)
{
	*index = (struct memory_index){.chunk_bytes = MEMORY_FILE_CHUNK_BYTES};
	index->chunk_count = size_bytes / index->chunk_bytes;
	index->present_bytes = (index->chunk_count + 7) / 8;
	index->present = calloc(1, index->present_bytes);
	index->checksums = malloc(index->chunk_count * SNAPSHOT_CHECKSUM_BYTES);
	if (!index->present || !index->checksums) {
		memory_index_destroy(index);
		return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static void memory_index_add(struct memory_index *index, uint64_t chunk, const uint8_t *data)
{
	index->present[chunk / 8] |= (uint8_t)(1U << (chunk % 8));
	snapshot_checksum(data, index->chunk_bytes, index->checksums + index->checksums_bytes);
	index->checksums_bytes += SNAPSHOT_CHECKSUM_BYTES;
}

/* Compares the area with itself, moved by one: fast, and reads nothing behind it. */
static bool memory_is_zero(const uint8_t *data, size_t bytes)
{
	uint64_t first;

	memcpy(&first, data, sizeof(first));
	return first == 0 && memcmp(data, data + sizeof(first), bytes - sizeof(first)) == 0;
}

/* A region on its way into its file. Chunks that lie one behind the other wait in buffer, to be
 * written with one call; there is always room for one more. */
struct memory_writer {
	const struct guest_memory_region *region;
	struct memory_output *output;
	struct memory_index *index;
	struct memory_progress *progress;
	uint8_t *buffer; /* the output's */
	uint64_t offset; /* of what is in buffer */
	size_t bytes;
};

static int writer_flush(struct memory_writer *writer, struct error *err)
{
	size_t bytes = writer->bytes;

	if (!bytes)
		return 0;
	writer->bytes = 0;
	if (memory_output_submit(writer->output, writer->offset, bytes, err) < 0)
		return err ? err->code : -EIO;
	writer->buffer = memory_output_buffer(writer->output);
	return 0;
}

static int memory_read_at(int fd, uint8_t *data, size_t bytes, uint64_t offset, struct error *err)
{
	while (bytes) {
		ssize_t got = pread(fd, data, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, -errno, "cannot be read at %" PRIu64, offset);
		if (got == 0)
			return error_set(err, -EINVAL, "is cut short at %" PRIu64, offset);
		data += got;
		bytes -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

/*
 * Memory is read through its file: through the mapping, a look at a page that is not there makes
 * one. The copy is hashed, not the guest's memory: what is stored is what was hashed, whoever
 * writes there.
 */
static int writer_add(struct memory_writer *writer, uint64_t offset, struct error *err)
{
	size_t chunk_bytes = writer->index->chunk_bytes;
	uint8_t *copy = writer->buffer + writer->bytes;

	if (writer->bytes && writer->offset + writer->bytes != offset) {
		if (writer_flush(writer, err) < 0)
			return err ? err->code : -EIO;
		copy = writer->buffer;
	}
	if (memory_read_at(writer->region->fd, copy, chunk_bytes,
			   writer->region->file_offset + offset, err) < 0)
		return error_prefix(err, "guest memory");
	if (memory_is_zero(copy, chunk_bytes))
		return 0;
	if (!writer->bytes)
		writer->offset = offset;
	memory_index_add(writer->index, offset / chunk_bytes, copy);
	writer->bytes += chunk_bytes;
	return writer->bytes + chunk_bytes > MEMORY_OUTPUT_BYTES ? writer_flush(writer, err) : 0;
}

/* End of the data that begins at *offset, both within the region; holes are skipped. False: no more
 * data. */
static bool memory_next_data(const struct guest_memory_region *region, uint64_t *offset,
			     uint64_t *end)
{
	off_t base = (off_t)region->file_offset;
	off_t data, hole;

	if (*offset >= region->size_bytes)
		return false;
	data = lseek(region->fd, base + (off_t)*offset, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return false;
	hole = data < 0 ? -1 : lseek(region->fd, data, SEEK_HOLE);
	if (data < 0 || hole < 0) { /* a file system that cannot tell: all of it */
		*end = region->size_bytes;
		return true;
	}
	if ((uint64_t)(data - base) >= region->size_bytes)
		return false;
	*offset = (uint64_t)(data - base);
	*end = (uint64_t)(hole - base);
	if (*end > region->size_bytes)
		*end = region->size_bytes;
	return true;
}

static int writer_add_range(struct memory_writer *writer, uint64_t from, uint64_t to,
			    struct error *err)
{
	for (uint64_t at = from; at < to; at += writer->index->chunk_bytes) {
		if (atomic_load(&writer->progress->cancelled))
			return error_set(err, -ECANCELED, "cancelled");
		if (writer_add(writer, at, err) < 0)
			return err ? err->code : -EIO;
		atomic_fetch_add(&writer->progress->done_bytes, writer->index->chunk_bytes);
	}
	return 0;
}

static int writer_add_all(struct memory_writer *writer, struct error *err)
{
	const struct guest_memory_region *region = writer->region;
	uint64_t mask = writer->index->chunk_bytes - 1, next = 0, offset = 0, end;

	while (memory_next_data(region, &offset, &end)) {
		offset &= ~mask;
		if (offset < next) /* two pieces of data share a chunk */
			offset = next;
		end = (end + mask) & ~mask;
		atomic_fetch_add(&writer->progress->done_bytes, offset - next);
		if (writer_add_range(writer, offset, end, err) < 0)
			return err ? err->code : -EIO;
		offset = next = end > offset ? end : offset;
	}
	atomic_fetch_add(&writer->progress->done_bytes, region->size_bytes - next);
	return writer_flush(writer, err);
}

static int writer_run(struct memory_writer *writer, struct error *err)
{
	int result;

	writer->buffer = memory_output_buffer(writer->output);
	result = writer_add_all(writer, err);
	return result < 0 ? result : memory_output_finish(writer->output, err);
}

int memory_file_write(const struct guest_memory_region *region, int fd, struct memory_index *index,
		      struct memory_progress *progress, struct error *err)
{
	struct memory_writer writer = {
		.region = region,
		.index = index,
		.progress = progress,
	};
	int result;

	if (ftruncate(fd, (off_t)region->size_bytes) < 0)
		return error_set_errno(err, -errno, "cannot be given its size");
	if (memory_index_create(index, region->size_bytes, err) < 0)
		return err ? err->code : -ENOMEM;
	writer.output = memory_output_new(fd, &progress->stored_bytes, err);
	if (!writer.output)
		return err ? err->code : -ENOMEM;
	result = writer_run(&writer, err);
	memory_output_destroy(writer.output);
	if (result < 0)
		return result;
	if (fdatasync(fd) < 0)
		return error_set_errno(err, -errno, "cannot be flushed to the disk");
	return 0;
}

static int memory_read_chunk(int fd, uint64_t chunk, uint32_t bytes, uint8_t *data,
			     const uint8_t *checksum, struct error *err)
{
	uint8_t actual[SNAPSHOT_CHECKSUM_BYTES];

	if (memory_read_at(fd, data, bytes, chunk * bytes, err) < 0)
		return err ? err->code : -EIO;
	snapshot_checksum(data, bytes, actual);
	if (memcmp(actual, checksum, sizeof(actual)) != 0)
		return error_set(err, -EINVAL,
				 "is damaged at %" PRIu64 ": its checksum does not fit",
				 chunk * bytes);
	return 0;
}

static int memory_check_size(int fd, uint64_t size_bytes, struct error *err)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "cannot be examined");
	if (!S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "is not a regular file");
	if ((uint64_t)status.st_size != size_bytes)
		return error_set(err, -EINVAL, "has %lld bytes, the manifest says %" PRIu64,
				 (long long)status.st_size, size_bytes);
	return 0;
}

/* Visit every present chunk. to NULL: only check. */
static int memory_visit_chunks(int fd, uint64_t size_bytes, const struct memory_index *index,
			       uint8_t *to, struct memory_progress *progress, struct error *err)
{
	cleanup_free uint8_t *buffer = malloc(index->chunk_bytes);
	const uint8_t *checksum = index->checksums;

	if (!buffer)
		return error_set(err, -ENOMEM, "out of memory");
	if (memory_check_size(fd, size_bytes, err) < 0)
		return err ? err->code : -EINVAL;
	for (uint64_t chunk = 0; chunk < index->chunk_count; chunk++) {
		if (atomic_load(&progress->cancelled))
			return error_set(err, -ECANCELED, "cancelled");
		atomic_fetch_add(&progress->done_bytes, index->chunk_bytes);
		if (!memory_index_has(index, chunk))
			continue;
		if (memory_read_chunk(fd, chunk, index->chunk_bytes,
				      to ? to + chunk * index->chunk_bytes : buffer, checksum,
				      err) < 0)
			return err ? err->code : -EINVAL;
		checksum += SNAPSHOT_CHECKSUM_BYTES;
		atomic_fetch_add(&progress->stored_bytes, index->chunk_bytes);
	}
	return memory_check_size(fd, size_bytes, err); /* somebody may be writing to it */
}

int memory_file_clear(const struct guest_memory_region *region, struct error *err)
{
	if (fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)region->file_offset, (off_t)region->size_bytes) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return error_set_errno(err, -errno, "guest memory cannot be cleared");
	memset(region->hva, 0, region->size_bytes);
	return 0;
}

int memory_file_read(const struct guest_memory_region *region, int fd,
		     const struct memory_index *index, struct memory_progress *progress,
		     struct error *err)
{
	if (memory_file_clear(region, err) < 0)
		return err ? err->code : -EIO;
	return memory_visit_chunks(fd, region->size_bytes, index, region->hva, progress, err);
}

int memory_file_verify(int fd, uint64_t size_bytes, const struct memory_index *index,
		       struct memory_progress *progress, struct error *err)
{
	return memory_visit_chunks(fd, size_bytes, index, NULL, progress, err);
}
