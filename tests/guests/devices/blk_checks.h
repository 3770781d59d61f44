/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks of the block device share. */
#ifndef GUEST_BLK_CHECKS_H
#define GUEST_BLK_CHECKS_H

#include <stdint.h>

#include "virtio_blk.h"

#define BLK_CHECK_BYTES	    65536u
#define BLK_SCRATCH_SECTORS 256u

struct blk_check {
	struct virtio_blk *blk;
	const char *prefix;
	unsigned char *data;	 /* BLK_CHECK_BYTES */
	unsigned char *readback; /* BLK_CHECK_BYTES */
	uint32_t seed;
};

/* Fills data with a pattern that depends on seed. */
void blk_fill(unsigned char *data, uint32_t size_bytes, uint32_t seed);

/* Reports whether a request came back with the expected status. */
void blk_expect_status(const struct blk_check *check, const char *name, int status, int expected);

/* Writing and reading back, long and scattered requests, discard and write-zeroes. */
void blk_check_data(struct blk_check *check);

/* Many requests in flight, and every queue by itself. */
void blk_check_queues(struct blk_check *check);

#endif
