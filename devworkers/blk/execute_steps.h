/* SPDX-License-Identifier: Apache-2.0 */
/* What execute.c and execute_ranges.c have of each other. The worker's thread. */
#ifndef BULKHEAD_DEVWORKERS_BLK_EXECUTE_STEPS_H
#define BULKHEAD_DEVWORKERS_BLK_EXECUTE_STEPS_H

#include "devworkers/blk/device.h"

/* Answer the request; what it wrote, perhaps in part, counts as not yet stable. */
void execute_finish_ok(struct blk_device *device, struct slot *slot);
void execute_finish_failed(struct blk_device *device, struct slot *slot);

/* Hand slot->io to the engine; its end leads to the next step of `stage`. */
void execute_queue_io(struct blk_device *device, struct slot *slot, enum slot_stage stage,
		      enum engine_io_kind kind);

/* Bounce the request, or its present range, when it can have the device to itself. */
void execute_wait_for_alone(struct blk_device *device, struct slot *slot);

/* Begin the range at slot->range_index, or end the request after the last. */
void execute_range_start(struct blk_device *device, struct slot *slot);

/* The present range is done: go on with the next. */
void execute_range_end(struct blk_device *device, struct slot *slot);

/* The slot's I/O of SLOT_DEALLOCATE or SLOT_WRITE_ZEROES ended. */
void execute_deallocate_advance(struct blk_device *device, struct slot *slot);
void execute_zeroes_advance(struct blk_device *device, struct slot *slot);

#endif
