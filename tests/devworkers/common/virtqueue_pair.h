/* SPDX-License-Identifier: Apache-2.0 */
/* A virtqueue and the ring driver on its other side, in one process, over two regions of memory. */
#ifndef BULKHEAD_TESTS_DEVWORKERS_COMMON_VIRTQUEUE_PAIR_H
#define BULKHEAD_TESTS_DEVWORKERS_COMMON_VIRTQUEUE_PAIR_H

#include "devworkers/common/virtqueue.h"
#include "tests/devworkers/common/ring_driver.h"

#define PAIR_RING_SIZE	  8
#define PAIR_REGION_BYTES (256U << 10)

struct virtqueue_pair {
	struct guest_ram ram;	/* region 0, from gpa 0 */
	struct guest_ram upper; /* region 1, right behind it: adjacent, yet another mapping */
	struct guest_memory memory;
	struct ring_driver ring;
	struct virtqueue queue;
	struct virtqueue_config config;
	struct iovec segments[64];
	struct virtqueue_chain chain;
	uint64_t buffer; /* gpa of 16 pages in region 0 */
};

/* cmocka setup and teardown: rings of PAIR_RING_SIZE, queue not started. */
int virtqueue_pair_init(void **state);
int virtqueue_pair_destroy(void **state);

/* Start (again) with pair->config and this in-flight log. */
int virtqueue_pair_start(struct virtqueue_pair *pair, struct inflight_queue *inflight);

/* Setup that also starts: without features, with EVENT_IDX, with INDIRECT. */
int virtqueue_pair_init_plain(void **state);
int virtqueue_pair_init_event_idx(void **state);
int virtqueue_pair_init_indirect(void **state);

/* Add a chain of `count` segments of 16 bytes each, the last `writable` of them writable. */
int virtqueue_pair_add(struct virtqueue_pair *pair, unsigned count, unsigned writable);

/* Write descriptor `index` of the ring as it is. */
void virtqueue_pair_set(struct virtqueue_pair *pair, uint16_t index, uint64_t address,
			uint32_t length, uint16_t flags, uint16_t next);

/* Pop expects -EPROTO, that err mentions `text`, and that the queue is broken from then on. */
void virtqueue_pair_expect_broken(struct virtqueue_pair *pair, const char *text);

#endif
