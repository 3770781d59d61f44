/* SPDX-License-Identifier: Apache-2.0 */
/* UPDATE: the image has a new size, or there is a new image. The worker's thread. */
#ifndef BULKHEAD_DEVWORKERS_BLK_UPDATE_H
#define BULKHEAD_DEVWORKERS_BLK_UPDATE_H

#include <stddef.h>
#include <stdint.h>

#include "devworkers/blk/device.h"

/*
 * Apply a packed Update message (proto/blk.proto). fds: none, or the new image, stolen on success.
 * Tells the core and the driver of the new capacity. With a new image it waits until nothing is in
 * flight on the old one and until that is stable. -EINVAL with the reason; the disk is then as it
 * was.
 */
int blk_update(struct blk_device *device, const uint8_t *update, size_t update_bytes, int *fds,
	       unsigned fd_count, struct error *err);

#endif
