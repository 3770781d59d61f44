/* SPDX-License-Identifier: Apache-2.0 */
/* One virtio device that is asked the same again and again, and never waited for without end. */
#ifndef GUEST_WATCH_H
#define GUEST_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio_blk.h"
#include "virtio_console.h"
#include "virtio_rng.h"

struct watched_device {
	const char *name;
	uint32_t index; /* among those of its type */
	uint16_t type;
	union {
		struct virtio_blk blk;
		struct virtio_rng rng;
		struct virtio_console console;
	} driver;
	void *buffer;
	const char *problem; /* it did not start */
	bool pending;	     /* a request waits for its answer */
};

/* Starts the device, after a reset. False if the reset has not ended within a second. */
bool watched_start(struct watched_device *watched);

/*
 * Asks the device for something, or looks after what it was asked before. Returns "ok",
 * "needs-reset", "busy" after timeout_us without an answer, or what failed.
 */
const char *watched_ask(struct watched_device *watched, uint64_t timeout_us);

struct virtio_device *watched_virtio(struct watched_device *watched);

#endif
