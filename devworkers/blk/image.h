/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opened raw image or block device behind the disk: its size, and what it asks of I/O on it.
 * Owned by the worker's thread.
 */
#ifndef BULKHEAD_DEVWORKERS_BLK_IMAGE_H
#define BULKHEAD_DEVWORKERS_BLK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/blk/request.h"
#include "ipc/error.h"

struct image {
	int fd; /* owned; -1: none */
	bool read_only;
	bool direct; /* the fd has O_DIRECT */
	bool block_device;
	uint64_t size_bytes;
	uint32_t logical_block_bytes;  /* what the guest is told: a power of two, at least 512 */
	uint32_t physical_block_bytes; /* likewise, at least the logical one */
	uint32_t minimum_io_bytes;
	uint32_t optimal_io_bytes; /* 0: nothing to say */
	uint32_t alignment_offset_bytes;
	uint32_t discard_granularity_bytes;
	/* Powers of two; 1 without O_DIRECT. */
	uint32_t memory_alignment_bytes;
	uint32_t offset_alignment_bytes;
};

#define IMAGE_INIT                                                                                 \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Look at fd and fill *image. fd is taken on success. -EINVAL with the reason when it is neither a
 * regular file nor a block device, is opened otherwise than read_only and direct say, or has a size
 * that cannot be served (not a multiple of 512, or of the block that direct I/O needs).
 */
int image_open(struct image *image, int fd, bool read_only, bool direct, struct error *err);

/* Close the fd. Accepts IMAGE_INIT and a closed one. */
void image_close(struct image *image);

/* The size that the file has now, checked as in image_open(); image is not changed. */
int image_current_size(const struct image *image, uint64_t *size_bytes, struct error *err);

/* True when the transfer can go to the kernel as it is; false: it must pass the bounce buffer. */
bool image_is_aligned(const struct image *image, uint64_t offset_bytes,
		      const struct iovec *segments, unsigned segment_count);

/* True when [offset, offset + length) has the alignment that direct I/O needs. */
bool image_range_is_aligned(const struct image *image, uint64_t offset_bytes,
			    uint64_t length_bytes);

#endif
