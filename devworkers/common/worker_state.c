/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SavedState (proto/worker.proto): what a worker hands over for a snapshot and what it accepts from
 * one. A snapshot is hostile input: everything is checked before any of it is used.
 *
 * Compatibility: a field may be added without a new version (missing: its default; unknown:
 * ignored). The version goes up when an older worker must not go on without knowing the change.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/common/worker_context.h"
#include "ipc/unpack.h"

#define SAVED_STATE_VERSION 1U

static int check_identity(const struct worker *worker, const Bulkhead__Worker__SavedState *saved,
			  struct error *err)
{
	if (saved->version == 0 || saved->version > SAVED_STATE_VERSION)
		return error_set(err, -EINVAL,
				 "saved state of version %" PRIu32 ", this program knows 1 to %u",
				 saved->version, SAVED_STATE_VERSION);
	if (strcmp(saved->kind, worker->ops->kind) != 0)
		return error_set(err, -EINVAL, "saved state is of kind \"%.32s\", not \"%s\"",
				 saved->kind, worker->ops->kind);
	if (saved->features & ~worker->description.features)
		return error_set(err, -EINVAL,
				 "saved state has features 0x%" PRIx64 " that are not offered",
				 saved->features & ~worker->description.features);
	if (!saved->active && (saved->n_queues > 0 || saved->features != 0 || saved->needs_reset))
		return error_set(err, -EINVAL, "saved state has queues but was not active");
	if (saved->n_queues > worker->description.queue_count)
		return error_set(err, -EINVAL, "saved state has %zu queues, the device %u",
				 saved->n_queues, worker->description.queue_count);
	return 0;
}

static int check_queue(const struct worker *worker, const Bulkhead__Worker__SavedQueue *queue,
		       uint32_t *seen, struct error *err)
{
	if (queue->index >= worker->description.queue_count)
		return error_set(err, -EINVAL, "saved queue %" PRIu32 " of %u", queue->index,
				 worker->description.queue_count);
	if (*seen & (UINT32_C(1) << queue->index))
		return error_set(err, -EINVAL, "saved queue %" PRIu32 " twice", queue->index);
	*seen |= UINT32_C(1) << queue->index;
	if (queue->size < 2 || queue->size > worker->description.queue_sizes[queue->index] ||
	    (queue->size & (queue->size - 1)) != 0)
		return error_set(err, -EINVAL, "saved queue %" PRIu32 " has size %" PRIu32,
				 queue->index, queue->size);
	/* Saved when drained: what was popped was used. */
	if (queue->next_available > UINT16_MAX || queue->next_used != queue->next_available)
		return error_set(err, -EINVAL,
				 "saved queue %" PRIu32 " has indices %" PRIu32 " and %" PRIu32,
				 queue->index, queue->next_available, queue->next_used);
	return 0;
}

int worker_parse_saved(const struct worker *worker, const uint8_t *bytes, size_t length_bytes,
		       Bulkhead__Worker__SavedState **saved, struct error *err)
{
	ProtobufCMessage *message = NULL;
	Bulkhead__Worker__SavedState *parsed;
	uint32_t seen = 0;
	int ret = unpack_message(&bulkhead__worker__saved_state__descriptor, bytes, length_bytes,
				 &message, NULL);

	if (ret < 0)
		return error_set(err, -EINVAL, "saved state is damaged");
	parsed = (void *)message;
	ret = check_identity(worker, parsed, err);
	for (size_t i = 0; ret == 0 && i < parsed->n_queues; i++)
		ret = check_queue(worker, parsed->queues[i], &seen, err);
	if (ret < 0) {
		worker_free_saved(parsed);
		return ret;
	}
	*saved = parsed;
	return 0;
}

void worker_free_saved(Bulkhead__Worker__SavedState *saved)
{
	if (saved)
		bulkhead__worker__saved_state__free_unpacked(saved, NULL);
}

const Bulkhead__Worker__SavedQueue *worker_find_saved_queue(const struct worker *worker,
							    const Bulkhead__Worker__Queue *queue,
							    struct error *err)
{
	for (size_t i = 0; worker->saved && i < worker->saved->n_queues; i++) {
		const Bulkhead__Worker__SavedQueue *saved = worker->saved->queues[i];

		if (saved->index != queue->index)
			continue;
		if (saved->size != queue->size ||
		    saved->descriptor_area != queue->descriptor_area ||
		    saved->driver_area != queue->driver_area ||
		    saved->device_area != queue->device_area) {
			error_set(err, -EINVAL,
				  "queue %" PRIu32 " is not where the saved state has it",
				  queue->index);
			return NULL;
		}
		return saved;
	}
	error_set(err, -EINVAL, "queue %" PRIu32 " is not in the saved state", queue->index);
	return NULL;
}

/* ---- packing ---- */

static void save_queue(const struct virtqueue *queue, Bulkhead__Worker__SavedQueue *saved)
{
	bulkhead__worker__saved_queue__init(saved);
	saved->index = queue->config.index;
	saved->size = queue->config.size;
	saved->descriptor_area = queue->config.descriptor_area;
	saved->driver_area = queue->config.driver_area;
	saved->device_area = queue->config.device_area;
	saved->next_available = queue->next_available;
	saved->next_used = queue->next_used;
}

static int pack(const Bulkhead__Worker__SavedState *message, uint8_t **state, size_t *state_bytes,
		struct error *err)
{
	size_t bytes = bulkhead__worker__saved_state__get_packed_size(message);

	*state = malloc(bytes ? bytes : 1);
	if (!*state)
		return error_set_errno(err, -ENOMEM, "saved state");
	*state_bytes = bulkhead__worker__saved_state__pack(message, *state);
	return 0;
}

int worker_pack_state(struct worker *worker, uint8_t **state, size_t *state_bytes,
		      struct error *err)
{
	Bulkhead__Worker__SavedState message;
	Bulkhead__Worker__SavedQueue queues[WORKER_MAX_QUEUES];
	Bulkhead__Worker__SavedQueue *pointers[WORKER_MAX_QUEUES];
	char kind[32];
	int ret;

	bulkhead__worker__saved_state__init(&message);
	(void)snprintf(kind, sizeof(kind), "%s", worker->ops->kind);
	message.version = SAVED_STATE_VERSION;
	message.kind = kind;
	message.active = worker->active;
	message.features = worker->features;
	message.needs_reset = worker->needs_reset;
	message.queues = pointers;
	for (unsigned i = 0; i < WORKER_MAX_QUEUES; i++) {
		if (!worker->queues[i].started)
			continue;
		virtqueue_take_over(&worker->queues[i].queue);
		pointers[message.n_queues] = &queues[message.n_queues];
		save_queue(&worker->queues[i].queue, pointers[message.n_queues++]);
	}
	if (worker->ops->save) {
		ret = worker->ops->save(worker, &message.device.data, &message.device.len, err);
		if (ret < 0)
			return ret;
	}
	ret = pack(&message, state, state_bytes, err);
	free(message.device.data);
	return ret;
}
