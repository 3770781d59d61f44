/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel served by the loop: polls it, dispatches what arrives, expires what is overdue. Loop
 * thread.
 */
#ifndef BULKHEAD_VMM_CORE_WORKERS_CHANNEL_WATCH_H
#define BULKHEAD_VMM_CORE_WORKERS_CHANNEL_WATCH_H

#include <stdbool.h>

#include <uv.h>

#include "ipc/channel.h"

struct channel_watch {
	struct channel *channel; /* borrowed */
	uv_poll_t poll;
	uv_timer_t timer;
	bool active;
	unsigned open_handles;
	void (*closed)(void *opaque);
	void *opaque;
};

/* Start watching. The struct must stay where it is until channel_watch_close() has called back. */
int channel_watch_start(struct channel_watch *watch, uv_loop_t *loop, struct channel *channel,
			struct error *err);

/* After anything that may have queued output or a new deadline. */
void channel_watch_update(struct channel_watch *watch);

/* Stop polling now (from the channel's closed callback, before its fd number can be used again). */
void channel_watch_stop(struct channel_watch *watch);

/* Stop and close the handles; closed(opaque) is called from the loop when the struct may be freed.
 */
void channel_watch_close(struct channel_watch *watch, void (*closed)(void *opaque), void *opaque);

#endif
