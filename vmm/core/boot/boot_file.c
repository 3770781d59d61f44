/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/boot_file.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

int boot_file_init(struct boot_file *file, int fd, const char *path, struct error *err)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "%s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "%s is not a regular file", path);
	if (status.st_size == 0)
		return error_set(err, -EINVAL, "%s is empty", path);
	*file = (struct boot_file){.fd = fd, .path = path, .size_bytes = (uint64_t)status.st_size};
	return 0;
}

static int report_truncated(const struct boot_file *file, uint64_t offset, uint64_t length_bytes,
			    struct error *err)
{
	return error_set(err, -EINVAL,
			 "%s is truncated: it has %" PRIu64 " bytes, and %" PRIu64
			 " more are needed from byte %" PRIu64 " on; copy the file again",
			 file->path, file->size_bytes, length_bytes, offset);
}

int boot_file_read(const struct boot_file *file, uint64_t offset, void *to, size_t length_bytes,
		   struct error *err)
{
	uint8_t *at = to;

	if (offset > file->size_bytes || length_bytes > file->size_bytes - offset)
		return report_truncated(file, offset, length_bytes, err);
	while (length_bytes > 0) {
		ssize_t got = pread(file->fd, at, length_bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, -errno, "read %s", file->path);
		if (got == 0) /* it was longer when we looked */
			return report_truncated(file, offset, length_bytes, err);
		at += got;
		offset += (uint64_t)got;
		length_bytes -= (size_t)got;
	}
	return 0;
}

int boot_file_load(const struct boot_file *file, uint64_t offset, uint64_t length_bytes,
		   const struct guest_memory *memory, uint64_t gpa, struct error *err)
{
	void *to = guest_memory_translate(memory, gpa, length_bytes);

	if (!to)
		return error_set(err, -ENOMEM,
				 "%s: %" PRIu64 " bytes at 0x%" PRIx64 " are outside guest memory",
				 file->path, length_bytes, gpa);
	return boot_file_read(file, offset, to, length_bytes, err);
}
