/* SPDX-License-Identifier: Apache-2.0 */
/* The io_uring of the device whose part the hostile worker plays. */
#ifndef BULKHEAD_TESTS_REDTEAM_HOSTILE_RING_H
#define BULKHEAD_TESTS_REDTEAM_HOSTILE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"

/* What the device prepares before its sandbox is locked. Nothing for devices without a ring. */
int hostile_ring_prepare(struct error *err);

/* Its fd, or -1. */
int hostile_ring_fd(void);

/*
 * Put one operation past the engine into the ring and wait for it. Returns its result as of a
 * system call. -ENOSYS where there is no ring.
 */
long hostile_ring_submit(uint8_t operation, int fd, const void *address, uint32_t length,
			 bool fixed_file);

#endif
