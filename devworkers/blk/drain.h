/* SPDX-License-Identifier: Apache-2.0 */
/* Coming to rest: for quiesce, reset, shutdown and a new backing file. The worker's thread. */
#ifndef BULKHEAD_DEVWORKERS_BLK_DRAIN_H
#define BULKHEAD_DEVWORKERS_BLK_DRAIN_H

#include "devworkers/blk/device.h"

/*
 * Stop popping; finish all that was popped, then make completed writes stable. 0: at rest; 1:
 * worker_drained() follows.
 */
int drain_begin(struct blk_device *device);

/* The next step of a drain, if there is one and nothing is in flight. From the idle hook. */
void drain_continue(struct blk_device *device);

/* The sync of a drain ended with device->drain_io.result. */
void drain_synced(struct blk_device *device);

#endif
