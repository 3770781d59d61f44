/* SPDX-License-Identifier: Apache-2.0 */
/* A ring in the arena that a case of malformation is applied to. */
#ifndef GUEST_HOSTILE_RINGS_H
#define GUEST_HOSTILE_RINGS_H

#include <stdint.h>

#include "virtqueue.h"

#define RING_SIZE 16

/*
 * Starts out as a good ring with one published chain: 16 bytes to read (a block request header),
 * 512 and 1 byte to write. A case changes what it likes, addresses and size included, before the
 * queue is enabled.
 */
struct hostile_ring {
	struct virtq_desc *descriptors; /* RING_SIZE */
	struct virtq_desc *table;	/* for indirect descriptors; RING_SIZE */
	volatile struct virtq_available *available;
	volatile struct virtq_used *used;
	uint64_t data_gpa; /* a page for buffers */
	/* What is written into the queue's registers. */
	uint16_t size;
	uint64_t desc_gpa;
	uint64_t available_gpa;
	uint64_t used_gpa;
};

struct ring_case {
	const char *name;
	void (*apply)(struct hostile_ring *ring);
};

extern const struct ring_case ring_cases[];
extern const uint32_t ring_case_count;

#endif
