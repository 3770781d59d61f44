/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_MIN_BYTES 512

static int buffer_grow(struct buffer *buffer, size_t needed_bytes)
{
	size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_MIN_BYTES;
	char *data;

	while (capacity < needed_bytes)
		capacity *= 2;
	data = realloc(buffer->data, capacity);
	if (!data)
		return -ENOMEM;
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t bytes, size_t limit_bytes)
{
	size_t held = buffer_bytes(buffer);

	if (bytes == 0)
		return 0;
	if (held > limit_bytes || bytes > limit_bytes - held)
		return -ENOBUFS;
	if (buffer->begin) {
		memmove(buffer->data, buffer->data + buffer->begin, held);
		buffer->begin = 0;
		buffer->end = held;
	}
	if (held + bytes > buffer->capacity && buffer_grow(buffer, held + bytes) < 0)
		return -ENOMEM;
	memcpy(buffer->data + held, data, bytes);
	buffer->end = held + bytes;
	return 0;
}

void buffer_consume(struct buffer *buffer, size_t bytes)
{
	buffer->begin += bytes;
	if (buffer->begin == buffer->end)
		buffer_free(buffer);
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}
