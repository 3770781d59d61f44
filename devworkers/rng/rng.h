/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-rng (virtio 1.2, 5.4): one queue of buffers to fill with random bytes. main.c: ops and
 * configuration; rng_queue.c: the queue; rng_source.c: where bytes come from.
 */
#ifndef BULKHEAD_DEVWORKERS_RNG_RNG_H
#define BULKHEAD_DEVWORKERS_RNG_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devworkers/common/worker.h"

#define RNG_QUEUE_SIZE		64
#define RNG_MAX_BYTES_PER_CHAIN (64U * 1024) /* the rest of a longer buffer is not used */
/* Work of one turn of the loop; then the socket to the core gets its turn. */
#define RNG_MAX_CHAINS_PER_TURN 16
#define RNG_MAX_BYTES_PER_TURN	(256U * 1024)

struct rng {
	int source_fd; /* owned, non-blocking; -1: getrandom(2) */
	bool has_source;

	/* A chain that waits for the source; nothing is popped after it. */
	bool waiting;
	struct virtqueue_chain chain;
	struct iovec segments[RNG_QUEUE_SIZE];
	struct loop_watch *source_watch; /* while waiting */

	uint64_t requests, bytes;
};

/* ---- rng_source.c ---- */

/* Take over the source: makes it non-blocking. */
int rng_source_open(struct rng *rng, int *fd, struct error *err);
void rng_source_close(struct rng *rng);

/*
 * Fill up to length_bytes at buffer. Returns the bytes filled (at least one), -EAGAIN when the
 * source has none now, -ENODATA when it has ended, another negative errno when it failed.
 */
int64_t rng_source_read(const struct rng *rng, void *buffer, size_t length_bytes);

/* ---- rng_queue.c ---- */

void rng_queue_ready(struct worker *worker, struct virtqueue *queue);

/* Give back the chain that waits, forget what was planned. Always done at once. */
int rng_queue_drain(struct worker *worker, struct error *err);

#endif
