/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/snapshot/pager_client_parts.h"
#include "vmm/core/snapshot/snapshot_file.h"

static int index_check(const struct memory_index *index, uint64_t size_bytes, struct error *err)
{
	uint64_t count = 0, bytes;

	if (index->chunk_bytes < MEMORY_FILE_MIN_CHUNK_BYTES ||
	    index->chunk_bytes > MEMORY_FILE_MAX_CHUNK_BYTES ||
	    (index->chunk_bytes & (index->chunk_bytes - 1)) ||
	    __builtin_mul_overflow(index->chunk_count, index->chunk_bytes, &bytes) ||
	    bytes != size_bytes || index->present_bytes != (index->chunk_count + 7) / 8)
		return error_set(err, -EINVAL, "has chunks that are not its size");
	for (size_t i = 0; i < index->present_bytes; i++)
		count += (uint64_t)__builtin_popcount(index->present[i]);
	if (index->checksums_bytes != count * SNAPSHOT_CHECKSUM_BYTES)
		return error_set(err, -EINVAL, "has a wrong number of checksums");
	return 0;
}

static int index_write(int fd, const uint8_t *data, size_t bytes, uint64_t offset,
		       struct error *err)
{
	while (bytes) {
		ssize_t written = pwrite(fd, data, bytes, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return error_set_errno(err, written ? -errno : -EIO, "cannot be written");
		data += written;
		bytes -= (size_t)written;
		offset += (uint64_t)written;
	}
	return 0;
}

static int index_add(int fd, const struct memory_index *index, uint64_t *offset, struct error *err)
{
	uint64_t map_bytes = (index->chunk_count + 63) / 64 * 8;
	int ret = index_write(fd, index->present, index->present_bytes, *offset, err);

	if (ret == 0)
		ret = index_write(fd, index->checksums, index->checksums_bytes, *offset + map_bytes,
				  err);
	*offset += map_bytes + index->checksums_bytes;
	return ret;
}

int pager_index_create(const struct pager_client_options *options, struct error *err)
{
	cleanup_fd int fd = memfd_create("pager-index", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t bytes = 0;

	if (fd < 0)
		return error_set_errno(err, -errno, "memory file for the pager");
	for (unsigned i = 0; i < options->region_count; i++) {
		const struct memory_index *index = &options->regions[i].index;

		if (index_check(index, options->memory->regions[i].size_bytes, err) < 0 ||
		    index_add(fd, index, &bytes, err) < 0)
			return error_prefix(err, "memory region %u", i);
	}
	/* The last chunk map may end in padding only. */
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return error_set_errno(err, -errno, "seal the memory file for the pager");
	return fd_steal(&fd);
}
