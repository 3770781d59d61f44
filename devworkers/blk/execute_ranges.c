/* SPDX-License-Identifier: Apache-2.0 */
/* Discard and write-zeroes: one range after the other. */
#include "devworkers/blk/execute_steps.h"

#include <errno.h>

static void ranges_end(struct blk_device *device, struct slot *slot)
{
	/* A range of zeroes is a write: without flushes it must be stable now. */
	if (device->write_through && slot->request.kind == REQUEST_WRITE_ZEROES)
		execute_queue_io(device, slot, SLOT_COMMIT, ENGINE_SYNC);
	else
		execute_finish_ok(device, slot);
}

void execute_range_end(struct blk_device *device, struct slot *slot)
{
	slot->range_index++;
	execute_range_start(device, slot);
}

static void zeroes_rest(struct blk_device *device, struct slot *slot)
{
	const struct request_range *range = &slot->request.ranges[slot->range_index];
	uint64_t left = range->length_bytes - slot->done_bytes;

	slot->own_segment.iov_base = device->zeroes;
	slot->own_segment.iov_len = left < BLK_ZEROES_BYTES ? (size_t)left : BLK_ZEROES_BYTES;
	slot->io.offset_bytes = range->offset_bytes + slot->done_bytes;
	slot->io.segments = &slot->own_segment;
	slot->io.segment_count = 1;
	execute_queue_io(device, slot, SLOT_WRITE_ZEROES, ENGINE_WRITE);
}

void execute_zeroes_advance(struct blk_device *device, struct slot *slot)
{
	const struct request_range *range = &slot->request.ranges[slot->range_index];

	if (slot->io.result <= 0) {
		execute_finish_failed(device, slot);
		return;
	}
	slot->done_bytes += (uint64_t)slot->io.result;
	if (slot->done_bytes < range->length_bytes)
		zeroes_rest(device, slot);
	else
		execute_range_end(device, slot);
}

void execute_range_start(struct blk_device *device, struct slot *slot)
{
	struct request *request = &slot->request;
	const struct request_range *range;

	while (slot->range_index < request->range_count &&
	       request->ranges[slot->range_index].length_bytes == 0)
		slot->range_index++;
	if (slot->range_index == request->range_count) {
		ranges_end(device, slot);
		return;
	}
	range = &request->ranges[slot->range_index];
	slot->done_bytes = 0;
	slot->io.offset_bytes = range->offset_bytes;
	slot->io.length_bytes = range->length_bytes;
	execute_queue_io(device, slot, SLOT_DEALLOCATE,
			 request->kind == REQUEST_DISCARD || range->unmap ? ENGINE_PUNCH
									  : ENGINE_ZERO);
}

/* Not for this file system, or not for a range with this alignment. */
static bool is_not_supported(int64_t result)
{
	return result == -EOPNOTSUPP || result == -ENOSYS || result == -EINVAL;
}

void execute_deallocate_advance(struct blk_device *device, struct slot *slot)
{
	const struct request_range *range = &slot->request.ranges[slot->range_index];
	bool refused = is_not_supported(slot->io.result);
	/* Discard is a hint: "MAY deallocate" (5.2.6.2). */
	bool done = slot->io.result >= 0 || (refused && slot->request.kind == REQUEST_DISCARD);

	if (done)
		execute_range_end(device, slot);
	else if (!refused)
		execute_finish_failed(device, slot);
	else if (image_range_is_aligned(&device->image, range->offset_bytes, range->length_bytes))
		zeroes_rest(device, slot);
	else
		execute_wait_for_alone(device, slot);
}
