/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/bounce.h"

#include <errno.h>
#include <string.h>

#include "devworkers/common/virtqueue.h"

/* The part of the present piece that the request is about. */
static uint64_t wanted_start(const struct bounce *bounce)
{
	return bounce->offset_bytes + bounce->done_bytes;
}

static uint64_t wanted_end(const struct bounce *bounce)
{
	uint64_t end = bounce->offset_bytes + bounce->length_bytes;
	uint64_t piece_end = bounce->piece_offset_bytes + bounce->piece_bytes;

	return end < piece_end ? end : piece_end;
}

static bool piece_is_covered(const struct bounce *bounce)
{
	return wanted_start(bounce) == bounce->piece_offset_bytes &&
	       wanted_end(bounce) == bounce->piece_offset_bytes + bounce->piece_bytes;
}

static void choose_piece(struct bounce *bounce)
{
	uint64_t mask = bounce->alignment_bytes - 1;
	uint64_t end = bounce->offset_bytes + bounce->length_bytes;
	uint64_t left;

	bounce->piece_offset_bytes = wanted_start(bounce) & ~mask;
	left = ((end + mask) & ~mask) - bounce->piece_offset_bytes;
	bounce->piece_bytes = left < bounce->buffer_bytes ? (size_t)left : bounce->buffer_bytes;
	bounce->filling = bounce->direction != BOUNCE_READ && !piece_is_covered(bounce);
}

void bounce_begin(struct bounce *bounce, enum bounce_direction direction, uint64_t offset_bytes,
		  uint64_t length_bytes, const struct iovec *segments, unsigned segment_count)
{
	bounce->direction = direction;
	bounce->offset_bytes = offset_bytes;
	bounce->length_bytes = length_bytes;
	bounce->segments = segments;
	bounce->segment_count = segment_count;
	bounce->done_bytes = 0;
	choose_piece(bounce);
}

/* Put what the guest writes over the piece. */
static void overlay(const struct bounce *bounce)
{
	uint8_t *to = bounce->buffer + (wanted_start(bounce) - bounce->piece_offset_bytes);
	size_t count = (size_t)(wanted_end(bounce) - wanted_start(bounce));

	if (bounce->direction == BOUNCE_WRITE_ZEROES)
		memset(to, 0, count);
	else
		virtqueue_iov_read(bounce->segments, bounce->segment_count, bounce->done_bytes, to,
				   count);
}

bool bounce_next(struct bounce *bounce, struct bounce_io *io)
{
	if (bounce->done_bytes == bounce->length_bytes)
		return false;
	io->write = bounce->direction != BOUNCE_READ && !bounce->filling;
	if (io->write)
		overlay(bounce);
	io->offset_bytes = bounce->piece_offset_bytes;
	io->segment.iov_base = bounce->buffer;
	io->segment.iov_len = bounce->piece_bytes;
	return true;
}

int bounce_done(struct bounce *bounce, int64_t result)
{
	size_t count = (size_t)(wanted_end(bounce) - wanted_start(bounce));

	/* Aligned pieces inside the image move whole, or the image has become shorter. */
	if (result != (int64_t)bounce->piece_bytes)
		return -EIO;
	if (bounce->filling) {
		bounce->filling = false;
		return 0;
	}
	if (bounce->direction == BOUNCE_READ)
		virtqueue_iov_write(bounce->segments, bounce->segment_count, bounce->done_bytes,
				    bounce->buffer +
					    (wanted_start(bounce) - bounce->piece_offset_bytes),
				    count);
	bounce->done_bytes += count;
	if (bounce->done_bytes < bounce->length_bytes)
		choose_piece(bounce);
	return 0;
}
