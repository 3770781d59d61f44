/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIGURE: from the disk's config message and its file to a device ready for activation. */
#ifndef BULKHEAD_DEVWORKERS_BLK_CONFIGURE_H
#define BULKHEAD_DEVWORKERS_BLK_CONFIGURE_H

#include <stddef.h>
#include <stdint.h>

#include "devworkers/blk/device.h"

/*
 * Make the engines, before the sandbox closes. Which of them is used is known with the
 * configuration only.
 */
int blk_prepare(struct blk_device *device, struct error *err);

/*
 * Check a packed Config message (proto/blk.proto) and the image, which must be the only fd (stolen
 * on success), and set the device up.
 */
int blk_configure(struct blk_device *device, const uint8_t *config, size_t config_bytes, int *fds,
		  unsigned fd_count, struct worker_description *description, struct error *err);

#endif
