/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of one channel that wait for an answer, and those that waited too long: a reply to
 * the latter may still come and is then no violation. Fixed size, no allocation; embedded in the
 * channel and owned by its thread.
 */
#ifndef BULKHEAD_IPC_PENDING_H
#define BULKHEAD_IPC_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"

#define PENDING_MAX_LATE 64 /* unanswered timed-out requests after which a peer is given up */

struct pending_request {
	uint32_t id;
	uint16_t type;
	uint32_t timeout_ms;
	uint64_t deadline_ms; /* CLOCK_MONOTONIC */
	channel_reply_fn callback;
	void *opaque;
};

struct pending_late {
	uint32_t id;
	uint16_t type;
};

struct pending_table {
	struct pending_request requests[CHANNEL_MAX_PENDING]; /* in the order of sending */
	unsigned count;
	struct pending_late late[PENDING_MAX_LATE];
	unsigned late_count;
	uint32_t last_id;
};

/* Add a request; request->id is chosen here: never 0, never one in use. -EBUSY when full. */
int pending_add(struct pending_table *table, struct pending_request *request);

/* Take the request with this id out. False: nobody waits for it. */
bool pending_take(struct pending_table *table, uint32_t id, struct pending_request *request);

/* Take the first request out; the first whose deadline is not after now_ms. False: there is none.
 */
bool pending_take_first(struct pending_table *table, struct pending_request *request);
bool pending_take_expired(struct pending_table *table, uint64_t now_ms,
			  struct pending_request *request);

/* Remember that a reply to a timed-out request may still come. -ENOSPC when too many are owed. */
int pending_add_late(struct pending_table *table, const struct pending_request *request);

/* Take a late request out. False: no such. */
bool pending_take_late(struct pending_table *table, uint32_t id, struct pending_late *late);

/* The earliest deadline, UINT64_MAX: none. */
uint64_t pending_next_deadline_ms(const struct pending_table *table);

#endif
