/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/execute.h"

#include <errno.h>
#include <stddef.h>

#include <linux/virtio_blk.h>

#include "devworkers/blk/dispatch.h"
#include "devworkers/blk/execute_steps.h"

static bool is_write(const struct slot *slot)
{
	return slot->request.kind == REQUEST_WRITE || slot->request.kind == REQUEST_WRITE_ZEROES ||
	       slot->request.kind == REQUEST_DISCARD;
}

void execute_finish_ok(struct blk_device *device, struct slot *slot)
{
	if (is_write(slot))
		device->writes_done++;
	dispatch_finish(device, slot, VIRTIO_BLK_S_OK);
}

void execute_finish_failed(struct blk_device *device, struct slot *slot)
{
	/* Part of it may have reached the image. */
	if (is_write(slot))
		device->writes_done++;
	dispatch_finish(device, slot, VIRTIO_BLK_S_IOERR);
}

void execute_queue_io(struct blk_device *device, struct slot *slot, enum slot_stage stage,
		      enum engine_io_kind kind)
{
	slot->stage = stage;
	slot->io.kind = kind;
	engine_queue(device->engine, &slot->io);
}

static enum engine_io_kind write_kind(const struct blk_device *device)
{
	return device->write_through ? ENGINE_WRITE_STABLE : ENGINE_WRITE;
}

/* ---- data ---------------------------------------------------------------------------------- */

/* The kernel wrote the first `bytes` of the segments. */
static void mark_data_dirty(const struct blk_device *device, const struct iovec *segments,
			    unsigned count, uint64_t bytes)
{
	const struct guest_memory *memory = worker_memory(device->worker);

	if (!memory->dirty_bitmap)
		return;
	for (unsigned i = 0; i < count && bytes > 0; i++) {
		size_t part = segments[i].iov_len < bytes ? segments[i].iov_len : (size_t)bytes;

		if (part > 0)
			guest_memory_mark_dirty(memory, segments[i].iov_base, part);
		bytes -= part;
	}
}

static void transfer_rest(struct blk_device *device, struct slot *slot)
{
	struct request *request = &slot->request;

	slot->io.offset_bytes = request->offset_bytes + slot->done_bytes;
	slot->io.segments = request->segments;
	slot->io.segment_count = request->segment_count;
	execute_queue_io(device, slot, SLOT_TRANSFER,
			 request->kind == REQUEST_READ ? ENGINE_READ : write_kind(device));
}

static void transfer_advance(struct blk_device *device, struct slot *slot)
{
	struct request *request = &slot->request;
	int64_t moved = slot->io.result;
	bool read = request->kind == REQUEST_READ;

	if (moved <= 0) {
		/* 0: the image has become shorter. A failed read may have filled any of it. */
		if (read)
			mark_data_dirty(device, request->segments, request->segment_count,
					UINT64_MAX);
		execute_finish_failed(device, slot);
		return;
	}
	if (read) {
		mark_data_dirty(device, request->segments, request->segment_count, (uint64_t)moved);
		slot->written_bytes += (uint32_t)moved;
	}
	slot->done_bytes += (uint64_t)moved;
	if (slot->done_bytes >= request->length_bytes) {
		execute_finish_ok(device, slot);
		return;
	}
	request_segments_advance(&request->segments, &request->segment_count, (uint64_t)moved);
	transfer_rest(device, slot);
}

static bool transfer_inline(struct blk_device *device, struct slot *slot)
{
	const struct request *request = &slot->request;
	int64_t moved = 0;

	if (request->kind == REQUEST_READ &&
	    (device->batch_is_small || request->length_bytes >= BLK_LARGE_BYTES))
		moved = inline_io_read(&device->inline_io, device->image.fd, request->segments,
				       request->segment_count, request->offset_bytes,
				       &device->now_ns);
	else if (request->kind == REQUEST_WRITE && !device->write_through)
		moved = inline_io_write(&device->inline_io, device->image.fd, request->segments,
					request->segment_count, request->offset_bytes,
					&device->now_ns);
	if (moved == 0)
		return false;
	slot->io.result = moved;
	transfer_advance(device, slot);
	return true;
}

void execute_wait_for_alone(struct blk_device *device, struct slot *slot)
{
	slot->next = NULL;
	if (device->alone_count++ > 0)
		device->alone_last->next = slot;
	else
		device->alone_first = slot;
	device->alone_last = slot;
	execute_next_alone(device);
}

static void transfer_start(struct blk_device *device, struct slot *slot)
{
	const struct request *request = &slot->request;

	if (request->length_bytes == 0)
		execute_finish_ok(device, slot);
	else if (!image_is_aligned(&device->image, request->offset_bytes, request->segments,
				   request->segment_count))
		execute_wait_for_alone(device, slot);
	else if (!transfer_inline(device, slot))
		transfer_rest(device, slot);
}

/* ---- bounced, alone on the device ---------------------------------------------------------- */

static void bounce_step(struct blk_device *device, struct slot *slot)
{
	struct bounce_io next;

	if (bounce_next(&device->bounce, &next)) {
		slot->own_segment = next.segment;
		slot->io.offset_bytes = next.offset_bytes;
		slot->io.segments = &slot->own_segment;
		slot->io.segment_count = 1;
		execute_queue_io(device, slot, SLOT_BOUNCE,
				 next.write ? write_kind(device) : ENGINE_READ);
		return;
	}
	device->alone_running = NULL;
	if (slot->request.kind == REQUEST_WRITE_ZEROES) {
		execute_range_end(device, slot);
		return;
	}
	if (slot->request.kind == REQUEST_READ)
		slot->written_bytes = (uint32_t)slot->request.length_bytes;
	execute_finish_ok(device, slot);
}

static void bounce_advance(struct blk_device *device, struct slot *slot)
{
	const struct request *request = &slot->request;
	int status = bounce_done(&device->bounce, slot->io.result);

	if (request->kind == REQUEST_READ)
		mark_data_dirty(device, request->segments, request->segment_count,
				device->bounce.done_bytes);
	if (status == 0) {
		bounce_step(device, slot);
		return;
	}
	device->alone_running = NULL;
	execute_finish_failed(device, slot);
}

static void begin_alone(struct blk_device *device, struct slot *slot)
{
	struct request *request = &slot->request;
	const struct request_range *range = &request->ranges[slot->range_index];

	if (request->kind == REQUEST_WRITE_ZEROES)
		bounce_begin(&device->bounce, BOUNCE_WRITE_ZEROES, range->offset_bytes,
			     range->length_bytes, NULL, 0);
	else
		bounce_begin(&device->bounce,
			     request->kind == REQUEST_READ ? BOUNCE_READ : BOUNCE_WRITE,
			     request->offset_bytes, request->length_bytes, request->segments,
			     request->segment_count);
	bounce_step(device, slot);
}

void execute_next_alone(struct blk_device *device)
{
	struct slot *slot = device->alone_first;

	if (device->alone_running || device->alone_count == 0 ||
	    device->slots_in_use != device->alone_count)
		return;
	device->alone_first = slot->next;
	device->alone_count--;
	device->alone_running = slot;
	begin_alone(device, slot);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void flush_start(struct blk_device *device, struct slot *slot)
{
	if (device->image.read_only) {
		execute_finish_ok(device, slot);
		return;
	}
	slot->sync_point = device->writes_done;
	execute_queue_io(device, slot, SLOT_FLUSH, ENGINE_SYNC);
}

static void sync_advance(struct blk_device *device, struct slot *slot)
{
	if (slot->io.result < 0) {
		execute_finish_failed(device, slot);
		return;
	}
	if (slot->stage == SLOT_FLUSH && slot->sync_point > device->writes_synced)
		device->writes_synced = slot->sync_point;
	execute_finish_ok(device, slot);
}

static void answer_id(struct blk_device *device, struct slot *slot)
{
	const struct request *request = &slot->request;

	virtqueue_iov_write(request->segments, request->segment_count, 0, device->id,
			    sizeof(device->id));
	mark_data_dirty(device, request->segments, request->segment_count, sizeof(device->id));
	slot->written_bytes = sizeof(device->id);
	execute_finish_ok(device, slot);
}

void execute_start(struct blk_device *device, struct slot *slot)
{
	slot->attempts = 0;
	slot->range_index = 0;
	slot->done_bytes = 0;
	switch (slot->request.kind) {
	case REQUEST_READ:
	case REQUEST_WRITE:
		transfer_start(device, slot);
		break;
	case REQUEST_FLUSH:
		flush_start(device, slot);
		break;
	case REQUEST_DISCARD:
	case REQUEST_WRITE_ZEROES:
		execute_range_start(device, slot);
		break;
	case REQUEST_GET_ID:
		answer_id(device, slot);
		break;
	}
}

/* Nothing happened yet and trying again may help; but not for ever. */
static bool try_again(struct blk_device *device, struct slot *slot)
{
	if (slot->io.result != -EINTR && slot->io.result != -EAGAIN)
		return false;
	if (++slot->attempts > BLK_MAX_IO_ATTEMPTS)
		return false;
	engine_queue(device->engine, &slot->io);
	return true;
}

void execute_advance(struct blk_device *device, struct slot *slot)
{
	if (try_again(device, slot))
		return;
	slot->attempts = 0;
	switch (slot->stage) {
	case SLOT_TRANSFER:
		transfer_advance(device, slot);
		break;
	case SLOT_FLUSH:
	case SLOT_COMMIT:
		sync_advance(device, slot);
		break;
	case SLOT_DEALLOCATE:
		execute_deallocate_advance(device, slot);
		break;
	case SLOT_WRITE_ZEROES:
		execute_zeroes_advance(device, slot);
		break;
	case SLOT_BOUNCE:
		bounce_advance(device, slot);
		break;
	}
}
