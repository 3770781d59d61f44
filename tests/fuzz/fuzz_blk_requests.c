/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk requests: the input describes the disk, then the segments of one chain with their contents.
 * Whatever they say, an accepted request stays inside the disk and inside its own buffers.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "devworkers/blk/request.h"

#define MAX_SEGMENTS 32U

struct input {
	const uint8_t *data;
	size_t left;
};

static uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	if (bytes > input->left)
		bytes = input->left;
	memcpy(&value, input->data, bytes);
	input->data += bytes;
	input->left -= bytes;
	return value;
}

/* Segments get exact allocations, so that the sanitizer sees a byte too many. */
static void add_segment(struct input *input, struct virtqueue_chain *chain)
{
	uint64_t word = take(input, 2);
	size_t length = 1 + (word & 0x3ff);
	bool writable = (word & 0x8000) || chain->writable_count > 0;
	unsigned count = (unsigned)chain->readable_count + chain->writable_count;
	size_t filled = length < input->left ? length : input->left;
	uint8_t *memory = calloc(1, length);

	assert(memory);
	if (!writable) {
		memcpy(memory, input->data, filled);
		input->data += filled;
		input->left -= filled;
	}
	chain->segments[count] = (struct iovec){memory, length};
	if (writable) {
		chain->writable_count++;
		chain->writable_bytes += length;
	} else {
		chain->readable_count++;
		chain->readable_bytes += length;
	}
}

static void check_inside(uint64_t offset, uint64_t length, const struct request_limits *limits)
{
	assert(offset % REQUEST_SECTOR_BYTES == 0 && length % REQUEST_SECTOR_BYTES == 0);
	assert(offset <= limits->capacity_bytes && length <= limits->capacity_bytes - offset);
}

static void check_accepted(const struct request *request, const struct request_limits *limits)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < request->segment_count; i++) {
		uint8_t *base = request->segments[i].iov_base;

		bytes += request->segments[i].iov_len;
		if (request->kind == REQUEST_READ)
			memset(base, 0x11, request->segments[i].iov_len);
	}
	assert(bytes == request->length_bytes);
	if (request->kind == REQUEST_READ || request->kind == REQUEST_WRITE)
		check_inside(request->offset_bytes, request->length_bytes, limits);
	if (request->kind == REQUEST_WRITE || request->kind == REQUEST_DISCARD ||
	    request->kind == REQUEST_WRITE_ZEROES)
		assert(!limits->read_only || request->kind != REQUEST_WRITE);
	assert(request->range_count <= REQUEST_MAX_RANGES);
	for (unsigned i = 0; i < request->range_count; i++)
		check_inside(request->ranges[i].offset_bytes, request->ranges[i].length_bytes,
			     limits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct iovec segments[MAX_SEGMENTS], original[MAX_SEGMENTS];
	struct virtqueue_chain chain = {.segments = segments, .segment_capacity = MAX_SEGMENTS};
	struct request request;
	uint64_t flags = take(&input, 1);
	struct request_limits limits = {
		.capacity_bytes = take(&input, 5) * REQUEST_SECTOR_BYTES,
		.read_only = flags & 1,
		.discard = flags & 2,
		.write_zeroes = flags & 4,
	};
	unsigned count = 0;
	int status;

	while (input.left >= 2 && count < MAX_SEGMENTS) {
		add_segment(&input, &chain);
		count++;
	}
	chain.readable = segments;
	chain.writable = segments + chain.readable_count;
	memcpy(original, segments, sizeof(segments[0]) * count);

	status = request_parse(&request, &chain, &limits);
	assert(status == -EPROTO || status == VIRTIO_BLK_S_OK || status == VIRTIO_BLK_S_IOERR ||
	       status == VIRTIO_BLK_S_UNSUPP);
	if (status != -EPROTO)
		*request.status = (uint8_t)status;
	if (status == VIRTIO_BLK_S_OK)
		check_accepted(&request, &limits);
	for (unsigned i = 0; i < count; i++)
		free(original[i].iov_base);
	return 0;
}
