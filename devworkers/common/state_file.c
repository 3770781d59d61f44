/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/common/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define STATE_FILE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int write_whole(int fd, const uint8_t *bytes, size_t length_bytes)
{
	while (length_bytes > 0) {
		ssize_t written = write(fd, bytes, length_bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes += written;
		length_bytes -= (size_t)written;
	}
	return 0;
}

int state_file_create(const void *bytes, size_t length_bytes, struct error *err)
{
	cleanup_fd int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret;

	if (fd < 0)
		return error_set_errno(err, -errno, "state file");
	ret = write_whole(fd, bytes, length_bytes);
	if (ret < 0)
		return error_set_errno(err, ret, "write state file");
	if (fcntl(fd, F_ADD_SEALS, STATE_FILE_SEALS | F_SEAL_SEAL) < 0)
		return error_set_errno(err, -errno, "seal state file");
	return fd_steal(&fd);
}

int state_file_read(int fd, uint8_t **bytes, size_t *length_bytes, struct error *err)
{
	struct stat status;
	void *mapping;
	int seals;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "state file");
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & STATE_FILE_SEALS) != STATE_FILE_SEALS)
		return error_set(err, -EINVAL, "state file is not a sealed memory file");
	if (status.st_size < 1 || status.st_size > (off_t)STATE_FILE_MAX_BYTES)
		return error_set(err, -EINVAL, "state file of %lld bytes",
				 (long long)status.st_size);
	/* Mapped, not read: the offset of the file belongs to the peer as much as to us. */
	mapping = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (mapping == MAP_FAILED)
		return error_set_errno(err, -errno, "map state file");
	*bytes = malloc((size_t)status.st_size);
	if (*bytes) {
		memcpy(*bytes, mapping, (size_t)status.st_size);
		*length_bytes = (size_t)status.st_size;
	}
	munmap(mapping, (size_t)status.st_size);
	return *bytes ? 0 : error_set_errno(err, -ENOMEM, "state file");
}
