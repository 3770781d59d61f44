/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "proto/blk.pb-c.h"

#define STATE_MAX_BYTES 4096U

int blk_state_pack(const struct blk_state *state, uint8_t **bytes, size_t *count, struct error *err)
{
	Bulkhead__Blk__State message = BULKHEAD__BLK__STATE__INIT;
	uint8_t *packed;

	message.size_bytes = state->size_bytes;
	/* One more: nothing set packs to nothing, and malloc(0) may be NULL. */
	packed = malloc(bulkhead__blk__state__get_packed_size(&message) + 1);
	if (!packed)
		return error_set(err, -ENOMEM, "out of memory");
	*count = bulkhead__blk__state__pack(&message, packed);
	*bytes = packed;
	return 0;
}

int blk_state_unpack(struct blk_state *state, const uint8_t *bytes, size_t count,
		     uint64_t image_size_bytes, struct error *err)
{
	Bulkhead__Blk__State *message;
	struct blk_state unpacked;

	if (count > STATE_MAX_BYTES)
		return error_set(err, -EINVAL, "the saved state is too long");
	message = bulkhead__blk__state__unpack(NULL, count, bytes);
	if (!message)
		return error_set(err, -EINVAL, "the saved state is not one of a disk");
	unpacked.size_bytes = message->size_bytes;
	bulkhead__blk__state__free_unpacked(message, NULL);
	if (unpacked.size_bytes != image_size_bytes)
		return error_set(err, -EINVAL,
				 "the disk had %" PRIu64 " bytes when it was saved, the image has "
				 "%" PRIu64,
				 unpacked.size_bytes, image_size_bytes);
	*state = unpacked;
	return 0;
}
