/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between a chain's segments and a buffer. */
#include <string.h>

#include "devworkers/common/virtqueue.h"

size_t virtqueue_iov_read(const struct iovec *segments, unsigned count, size_t offset_bytes,
			  void *to, size_t length_bytes)
{
	uint8_t *out = to;
	size_t done = 0;

	for (unsigned i = 0; i < count && done < length_bytes; i++) {
		size_t part = segments[i].iov_len;

		if (offset_bytes >= part) {
			offset_bytes -= part;
			continue;
		}
		part -= offset_bytes;
		if (part > length_bytes - done)
			part = length_bytes - done;
		memcpy(out + done, (const uint8_t *)segments[i].iov_base + offset_bytes, part);
		done += part;
		offset_bytes = 0;
	}
	return done;
}

size_t virtqueue_iov_write(const struct iovec *segments, unsigned count, size_t offset_bytes,
			   const void *from, size_t length_bytes)
{
	const uint8_t *in = from;
	size_t done = 0;

	for (unsigned i = 0; i < count && done < length_bytes; i++) {
		size_t part = segments[i].iov_len;

		if (offset_bytes >= part) {
			offset_bytes -= part;
			continue;
		}
		part -= offset_bytes;
		if (part > length_bytes - done)
			part = length_bytes - done;
		memcpy((uint8_t *)segments[i].iov_base + offset_bytes, in + done, part);
		done += part;
		offset_bytes = 0;
	}
	return done;
}
