/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of a split virtqueue in a test's guest memory (virtio 1.2, 2.7): adds chains,
 * kicks, waits for the call eventfd. Honest by itself; a test that wants a malformed ring writes
 * into descriptors, available and used directly. Also used by benchmarks: nothing is allocated per
 * request.
 */
#ifndef BULKHEAD_TESTS_DEVWORKERS_COMMON_RING_DRIVER_H
#define BULKHEAD_TESTS_DEVWORKERS_COMMON_RING_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/common/virtqueue_ring.h"
#include "tests/devworkers/common/guest_ram.h"

#define RING_DRIVER_MAX_SIZE 1024

struct ring_segment {
	uint64_t gpa;
	uint32_t length;
	bool writable;
};

struct ring_driver {
	struct guest_ram *ram; /* borrowed */
	uint16_t index, size;
	bool event_idx;
	uint64_t descriptor_area, driver_area, device_area; /* gpa */
	struct vring_descriptor *descriptors;
	uint16_t *available; /* VRING_AVAILABLE_… */
	struct vring_used *used;
	uint16_t next_available, last_used, last_kicked;
	uint16_t free_head, free_count;
	uint16_t chain_length[RING_DRIVER_MAX_SIZE]; /* by head */
	int kick_fd, call_fd;			     /* owned */
};

/* Allocate the rings in ram, make the eventfds. size: a power of two. Aborts the test on failure.
 */
void ring_driver_init(struct ring_driver *ring, struct guest_ram *ram, uint16_t index,
		      uint16_t size, bool event_idx);
void ring_driver_destroy(struct ring_driver *ring); /* accepts a zeroed one */

/* As after a device reset: empty rings, all descriptors free, index 0. eventfds stay. */
void ring_driver_reset(struct ring_driver *ring);

/* Make a chain available; returns its head, or -1 when too few descriptors are free. Not kicked. */
int ring_driver_add(struct ring_driver *ring, const struct ring_segment *segments, unsigned count);

/* The same through an indirect table that the caller gives (16 bytes a segment, in ram). */
int ring_driver_add_indirect(struct ring_driver *ring, const struct ring_segment *segments,
			     unsigned count, uint64_t table_gpa);

/* Put a head into the available ring as it is (for malformed chains). */
void ring_driver_offer(struct ring_driver *ring, uint16_t head);

/* Kick if the device wants to be (flags, EVENT_IDX). True when it was. */
bool ring_driver_kick(struct ring_driver *ring);
void ring_driver_kick_always(struct ring_driver *ring);

/* Take one used element; frees its descriptors. False: none. length may be NULL. */
bool ring_driver_take(struct ring_driver *ring, uint16_t *head, uint32_t *length);

/* Wait until something is used, sleeping on the call eventfd as a driver does with interrupts on.
 * False: not within timeout_ms. */
bool ring_driver_wait(struct ring_driver *ring, unsigned timeout_ms);

/* Kick, wait, take one; for tests with one request under way. */
bool ring_driver_complete(struct ring_driver *ring, unsigned timeout_ms, uint32_t *length);

/* The call eventfd was written since the last look. */
bool ring_driver_was_called(struct ring_driver *ring);

#endif
