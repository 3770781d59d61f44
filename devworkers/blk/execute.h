/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a checked request: from its first I/O to its status. The worker's thread. */
#ifndef BULKHEAD_DEVWORKERS_BLK_EXECUTE_H
#define BULKHEAD_DEVWORKERS_BLK_EXECUTE_H

#include "devworkers/blk/device.h"

/* Begin slot->request. Ends in dispatch_finish(), perhaps before it returns. */
void execute_start(struct blk_device *device, struct slot *slot);

/* The slot's I/O ended with slot->io.result: do the next step. */
void execute_advance(struct blk_device *device, struct slot *slot);

/* Begin the next request that waits to be alone, if nothing else is under way. */
void execute_next_alone(struct blk_device *device);

#endif
