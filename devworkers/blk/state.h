/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk's saved state (proto/blk.proto, State). Little of a disk is state: requests are all
 * finished when it is saved, the rings are saved by devworkers/common. What there is guards against
 * resuming on another image.
 */
#ifndef BULKHEAD_DEVWORKERS_BLK_STATE_H
#define BULKHEAD_DEVWORKERS_BLK_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

struct blk_state {
	uint64_t size_bytes; /* of the image */
};

/* Pack into *bytes (malloc, the caller's). -ENOMEM. */
int blk_state_pack(const struct blk_state *state, uint8_t **bytes, size_t *count,
		   struct error *err);

/*
 * Unpack and check a hostile blob against the image. -EINVAL with the reason; *state is then
 * unchanged.
 */
int blk_state_unpack(struct blk_state *state, const uint8_t *bytes, size_t count,
		     uint64_t image_size_bytes, struct error *err);

#endif
