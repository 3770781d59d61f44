/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the rings to requests and back: pops chains into slots, collects what the engine finished,
 * publishes statuses in batches. The worker's thread.
 *
 * A kick only pops and queues; the loop's idle hook, which runs when every ready fd was handled,
 * submits and collects in one system call and announces the completions of a queue once.
 */
#ifndef BULKHEAD_DEVWORKERS_BLK_DISPATCH_H
#define BULKHEAD_DEVWORKERS_BLK_DISPATCH_H

#include "devworkers/blk/device.h"

/* Make the slots, for chains of at most device->queue_size segments, and the buffers. */
int dispatch_init(struct blk_device *device, struct error *err);
void dispatch_destroy(struct blk_device *device); /* accepts a half-built one */

/* Pop what the queue has, as far as there is room. */
void dispatch_queue(struct blk_device *device, struct virtqueue *queue);

/* The loop's idle hook; opaque is the device. True: there is more to do without sleeping. */
bool dispatch_idle(void *opaque);

/* The engine's done callback; opaque is the device. */
void dispatch_io_done(void *opaque, struct engine_io *io);

/* Answer the slot's request and free the slot. */
void dispatch_finish(struct blk_device *device, struct slot *slot, uint8_t status);

/* Block until nothing is in flight. */
int dispatch_wait_all(struct blk_device *device, struct error *err);

/* Forget the queues: slots still in flight (there are none after a drain) will answer nobody. */
void dispatch_reset(struct blk_device *device);

#endif
