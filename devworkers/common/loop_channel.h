/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel served by a worker's or helper's loop: dispatched when something arrives, watched for
 * room while output is queued. Owned by the loop's thread. (The core's loop is another:
 * vmm/core/workers/channel_watch.h.)
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_LOOP_CHANNEL_H
#define BULKHEAD_DEVWORKERS_COMMON_LOOP_CHANNEL_H

#include <stdint.h>

#include "devworkers/common/loop.h"
#include "ipc/channel.h"
#include "ipc/error.h"

struct loop_channel {
	struct channel *channel;  /* borrowed */
	struct loop_watch *watch; /* NULL: not watched */
	uint32_t events;	  /* as watched now */
	void (*dispatched)(void *opaque);
	void *opaque;
};

/* Begin. dispatched (may be NULL) runs after each turn, also after the one in which the channel
 * closed. */
int loop_channel_watch(struct loop_channel *watch, struct loop *loop, struct channel *channel,
		       void (*dispatched)(void *opaque), void *opaque, struct error *err);

/* After anything that may have queued output, or may have found that the channel cannot go on. */
void loop_channel_update(struct loop_channel *watch);

/* Stop: from the channel's closed callback, and before it is destroyed. Harmless twice. */
void loop_channel_unwatch(struct loop_channel *watch);

#endif
