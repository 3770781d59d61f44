/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers that direct I/O cannot make as they are: guest buffers or ranges without the alignment
 * that the image asks for. They go through one aligned buffer, piece by piece; where a written
 * piece does not cover whole blocks, the blocks are read first. That read and the write must not
 * be mixed with other writes, so such a request runs alone (execute.c).
 *
 * A bounce only decides; the owner makes the I/O it asks for.
 */
#ifndef BULKHEAD_DEVWORKERS_BLK_BOUNCE_H
#define BULKHEAD_DEVWORKERS_BLK_BOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum bounce_direction {
	BOUNCE_READ,
	BOUNCE_WRITE,
	BOUNCE_WRITE_ZEROES
};

struct bounce {
	uint8_t *buffer; /* owned by whoever set it; aligned for the image */
	size_t buffer_bytes;
	uint32_t alignment_bytes; /* of offsets and lengths; a power of two */
	/* the present transfer */
	enum bounce_direction direction;
	uint64_t offset_bytes, length_bytes;
	const struct iovec *segments;
	unsigned segment_count;
	uint64_t done_bytes;
	/* its present piece */
	uint64_t piece_offset_bytes; /* aligned */
	size_t piece_bytes;	     /* aligned */
	bool filling;		     /* a write reads the blocks first */
};

struct bounce_io {
	bool write;
	uint64_t offset_bytes;
	struct iovec segment;
};

/* Begin a transfer of length_bytes (not 0) at offset_bytes. segments: not used for zeroes. */
void bounce_begin(struct bounce *bounce, enum bounce_direction direction, uint64_t offset_bytes,
		  uint64_t length_bytes, const struct iovec *segments, unsigned segment_count);

/* True with the next I/O to make; false: the transfer is complete. */
bool bounce_next(struct bounce *bounce, struct bounce_io *io);

/*
 * The I/O that bounce_next() asked for moved result bytes. 0: go on with bounce_next(); -EIO: it
 * came to an end too early.
 */
int bounce_done(struct bounce *bounce, int64_t result);

#endif
