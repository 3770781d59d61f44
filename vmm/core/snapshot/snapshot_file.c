/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/snapshot_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "ipc/cleanup.h"

/* Field 2047, length-delimited, 16 bytes: what every trailer begins with. */
static const uint8_t trailer_head[3] = {0xfa, 0x7f, SNAPSHOT_CHECKSUM_BYTES};

void snapshot_checksum(const void *data, size_t bytes, uint8_t checksum[SNAPSHOT_CHECKSUM_BYTES])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, bytes));
	memcpy(checksum, canonical.digest, SNAPSHOT_CHECKSUM_BYTES);
}

int snapshot_file_seal(uint8_t **data, size_t *bytes, struct error *err)
{
	uint8_t *sealed = realloc(*data, *bytes + SNAPSHOT_TRAILER_BYTES);

	if (!sealed)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(sealed + *bytes, trailer_head, sizeof(trailer_head));
	snapshot_checksum(sealed, *bytes, sealed + *bytes + sizeof(trailer_head));
	*data = sealed;
	*bytes += SNAPSHOT_TRAILER_BYTES;
	return 0;
}

int snapshot_file_pack(const ProtobufCMessage *message, uint8_t **data, size_t *bytes,
		       struct error *err)
{
	*bytes = protobuf_c_message_get_packed_size(message);
	*data = malloc(*bytes + SNAPSHOT_TRAILER_BYTES);
	if (!*data)
		return error_set(err, -ENOMEM, "out of memory");
	protobuf_c_message_pack(message, *data);
	return snapshot_file_seal(data, bytes, err);
}

int snapshot_file_verify(const uint8_t *data, size_t bytes, size_t *message_bytes,
			 struct error *err)
{
	uint8_t checksum[SNAPSHOT_CHECKSUM_BYTES];
	size_t length;

	if (bytes < SNAPSHOT_TRAILER_BYTES)
		return error_set(err, -EINVAL, "is cut short: %zu bytes", bytes);
	length = bytes - SNAPSHOT_TRAILER_BYTES;
	if (memcmp(data + length, trailer_head, sizeof(trailer_head)) != 0)
		return error_set(err, -EINVAL,
				 "does not end with a checksum: damaged or cut short");
	snapshot_checksum(data, length, checksum);
	if (memcmp(checksum, data + length + sizeof(trailer_head), sizeof(checksum)) != 0)
		return error_set(err, -EINVAL, "is damaged: its checksum does not fit");
	*message_bytes = length;
	return 0;
}

int snapshot_file_write(int fd, const uint8_t *data, size_t bytes, struct error *err)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t written = pwrite(fd, data + done, bytes - done, (off_t)done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return error_set_errno(err, written ? -errno : -EIO, "cannot be written");
		done += (size_t)written;
	}
	if (fdatasync(fd) < 0)
		return error_set_errno(err, -errno, "cannot be flushed to the disk");
	return 0;
}

static int snapshot_file_read_exactly(int fd, uint8_t *data, size_t bytes, struct error *err)
{
	size_t done = 0;
	uint8_t beyond;

	while (done < bytes) {
		ssize_t got = pread(fd, data + done, bytes - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, -errno, "cannot be read");
		if (got == 0)
			return error_set(err, -EIO, "became shorter while it was read");
		done += (size_t)got;
	}
	if (pread(fd, &beyond, 1, (off_t)bytes) != 0)
		return error_set(err, -EIO, "became longer while it was read");
	return 0;
}

int snapshot_file_read(int fd, size_t max_bytes, uint8_t **data, size_t *bytes, struct error *err)
{
	cleanup_free uint8_t *buffer = NULL;
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "cannot be examined");
	if (!S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "is not a regular file");
	if (status.st_size < 0 || (uint64_t)status.st_size > max_bytes)
		return error_set(err, -EFBIG, "is larger than the %zu bytes that it may have",
				 max_bytes);
	buffer = malloc((size_t)status.st_size + 1);
	if (!buffer)
		return error_set(err, -ENOMEM, "out of memory");
	if (snapshot_file_read_exactly(fd, buffer, (size_t)status.st_size, err) < 0)
		return err ? err->code : -EIO;
	*data = buffer;
	buffer = NULL;
	*bytes = (size_t)status.st_size;
	return 0;
}
