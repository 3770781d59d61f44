/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow at the end and are used up at the front. */
#ifndef BULKHEAD_VMM_GATEWAY_BUFFER_H
#define BULKHEAD_VMM_GATEWAY_BUFFER_H

#include <stddef.h>

struct buffer {
	char *data; /* NULL while empty and never used */
	size_t begin, end, capacity;
};

static inline size_t buffer_bytes(const struct buffer *buffer)
{
	return buffer->end - buffer->begin;
}

static inline const char *buffer_first(const struct buffer *buffer)
{
	return buffer->data + buffer->begin;
}

/* Append a copy. -ENOBUFS: more than limit_bytes would be held; -ENOMEM. */
int buffer_append(struct buffer *buffer, const void *data, size_t bytes, size_t limit_bytes);

/* Forget the first bytes. */
void buffer_consume(struct buffer *buffer, size_t bytes);

/* Forget all, and give the memory back. */
void buffer_free(struct buffer *buffer);

#endif
