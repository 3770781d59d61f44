/* SPDX-License-Identifier: Apache-2.0 */
/* Start, completion and notification; chains are walked in virtqueue_chain.c. */
#include "devworkers/common/virtqueue.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "devworkers/common/virtqueue_ring.h"
#include "ipc/cleanup.h"

static void *translate_ring(const struct virtqueue_config *config,
			    const struct guest_memory *memory, const char *name, uint64_t gpa,
			    uint64_t bytes, unsigned alignment, struct error *err)
{
	void *hva;

	if (gpa % alignment != 0) {
		error_set(err, -EINVAL, "queue %u: %s 0x%" PRIx64 " is not aligned to %u bytes",
			  config->index, name, gpa, alignment);
		return NULL;
	}
	hva = guest_memory_translate(memory, gpa, bytes);
	if (!hva)
		error_set(err, -EINVAL,
			  "queue %u: %s 0x%" PRIx64 "+%" PRIu64 " is not in guest memory",
			  config->index, name, gpa, bytes);
	return hva;
}

static int translate_rings(struct virtqueue *queue, struct error *err)
{
	const struct virtqueue_config *config = &queue->config;

	queue->descriptors =
		translate_ring(config, queue->memory, "descriptor area", config->descriptor_area,
			       vring_descriptor_bytes(config->size), VRING_DESCRIPTOR_ALIGN, err);
	if (!queue->descriptors)
		return -EINVAL;
	queue->available =
		translate_ring(config, queue->memory, "driver area", config->driver_area,
			       vring_available_bytes(config->size), VRING_AVAILABLE_ALIGN, err);
	if (!queue->available)
		return -EINVAL;
	queue->used = translate_ring(config, queue->memory, "device area", config->device_area,
				     vring_used_bytes(config->size), VRING_USED_ALIGN, err);
	return queue->used ? 0 : -EINVAL;
}

int virtqueue_start(struct virtqueue *queue, const struct virtqueue_config *config,
		    const struct guest_memory *memory, struct inflight_queue *inflight, int kick_fd,
		    int call_fd, struct error *err)
{
	int ret;

	memset(queue, 0, sizeof(*queue));
	queue->kick_fd = queue->call_fd = -1;
	if (config->size < 2 || config->size > VIRTQUEUE_MAX_SIZE ||
	    (config->size & (config->size - 1)) != 0)
		return error_set(err, -EINVAL,
				 "queue %u: size %u is not a power of two from 2 to %d",
				 config->index, config->size, VIRTQUEUE_MAX_SIZE);
	if (inflight && (inflight_queue_size(inflight) < config->size ||
			 inflight_queue_size(inflight) > VIRTQUEUE_MAX_SIZE))
		return error_set(err, -EINVAL, "queue %u: the in-flight log does not fit",
				 config->index);
	queue->config = *config;
	queue->memory = memory;
	ret = translate_rings(queue, err);
	if (ret < 0) {
		memset(queue, 0, sizeof(*queue));
		queue->kick_fd = queue->call_fd = -1;
		return ret;
	}
	queue->next_available = config->next_available;
	queue->available_seen = config->next_available;
	queue->next_used = config->next_used;
	queue->inflight = inflight;
	queue->take_over_pending = inflight != NULL;
	queue->kick_fd = kick_fd;
	queue->call_fd = call_fd;
	queue->enabled = true;
	return 0;
}

void virtqueue_stop(struct virtqueue *queue)
{
	/* In a zeroed queue the fds are 0, which is not ours. */
	if (queue->memory) {
		fd_close(&queue->kick_fd);
		fd_close(&queue->call_fd);
	}
	memset(queue, 0, sizeof(*queue));
	queue->kick_fd = queue->call_fd = -1;
}

void virtqueue_take_over(struct virtqueue *queue)
{
	struct vring_used *used = queue->used;

	if (!queue->take_over_pending)
		return;
	queue->take_over_pending = false;
	if (!inflight_queue_is_started(queue->inflight)) {
		inflight_queue_start(queue->inflight);
		return;
	}
	/*
	 * Each chain that was popped is either counted by the used index or still in the log, so
	 * the sum is where popping stopped. A guest that changes its used index harms itself only:
	 * pop checks the distance to the available index again.
	 */
	queue->next_used = vring_load(&used->index);
	queue->replay_count =
		(uint16_t)inflight_queue_recover(queue->inflight, queue->next_used, queue->replay);
	queue->next_available = (uint16_t)(queue->next_used + queue->replay_count);
	queue->available_seen = queue->next_available;
}

int virtqueue_check_available(const struct virtqueue *queue, struct error *err)
{
	uint16_t ahead =
		(uint16_t)(vring_load_available_index(queue->available) - queue->next_available);

	if (ahead > queue->config.size)
		return error_set(err, -EINVAL,
				 "queue %u: available index is %u ahead of the saved one",
				 queue->config.index, ahead);
	return 0;
}

void virtqueue_push_deferred(struct virtqueue *queue, uint16_t head, uint32_t written_bytes)
{
	struct vring_used *used = queue->used;
	struct vring_used_element *element =
		&used->ring[queue->next_used & (queue->config.size - 1)];
	uint64_t bit = UINT64_C(1) << (head % 64);

	assert(head < queue->config.size && (queue->in_flight_heads[head / 64] & bit));
	/* A guest may offer a head again before it saw it used; the list must not overflow. */
	if (queue->unpublished_count == VIRTQUEUE_MAX_SIZE)
		virtqueue_publish(queue);
	element->id = head;
	element->length = written_bytes;
	guest_memory_mark_dirty(queue->memory, element, sizeof(*element));
	if (queue->inflight)
		inflight_queue_complete_begin(queue->inflight, head, queue->next_used);
	queue->unpublished[queue->unpublished_count++] = head;
	queue->next_used++;
	queue->in_flight--;
	queue->in_flight_heads[head / 64] &= ~bit;
}

void virtqueue_publish(struct virtqueue *queue)
{
	struct vring_used *used = queue->used;

	if (queue->unpublished_count == 0)
		return;
	vring_publish_used_index(used, queue->next_used);
	guest_memory_mark_dirty(queue->memory, &used->index, sizeof(used->index));
	for (unsigned i = 0; queue->inflight && i < queue->unpublished_count; i++)
		inflight_queue_complete_done(queue->inflight, queue->unpublished[i]);
	queue->unpublished_count = 0;
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written_bytes)
{
	virtqueue_push_deferred(queue, head, written_bytes);
	virtqueue_publish(queue);
}

static bool driver_wants_call(struct virtqueue *queue, uint16_t old_used)
{
	if (!queue->config.event_idx)
		return !(vring_load(&queue->available[VRING_AVAILABLE_FLAGS]) &
			 VRING_AVAILABLE_NO_INTERRUPT);
	return vring_need_event(
		vring_load(&queue->available[VRING_AVAILABLE_RING + queue->config.size]),
		queue->next_used, old_used);
}

static void signal_driver(const struct virtqueue *queue)
{
	const uint64_t one = 1;

	/* Full (EAGAIN) means that a call is pending already. */
	if (queue->call_fd >= 0 && write(queue->call_fd, &one, sizeof(one)) < 0)
		return;
}

void virtqueue_notify(struct virtqueue *queue)
{
	uint16_t old_used = queue->signalled_used;
	bool old_valid = queue->signalled_used_valid;

	if (!queue->memory)
		return;
	virtqueue_publish(queue);
	if (old_valid && old_used == queue->next_used)
		return;
	queue->signalled_used = queue->next_used;
	queue->signalled_used_valid = true;
	/*
	 * The driver writes its event index (or flags), then looks at the used index once more
	 * before it sleeps. Our read of the former must not pass our write of the latter, or both
	 * sides see the old value and nobody wakes up.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!old_valid || driver_wants_call(queue, old_used))
		signal_driver(queue);
}

void virtqueue_notify_always(struct virtqueue *queue)
{
	if (!queue->memory)
		return;
	virtqueue_publish(queue);
	queue->signalled_used = queue->next_used;
	queue->signalled_used_valid = true;
	signal_driver(queue);
}

bool virtqueue_enable_kicks(struct virtqueue *queue, bool enable)
{
	struct vring_used *used = queue->used;
	uint16_t *word;

	if (!queue->enabled || queue->broken)
		return false;
	if (queue->take_over_pending)
		return enable;
	/* With EVENT_IDX a stale event index is suppression enough: the driver passes it once. */
	if (!enable && queue->config.event_idx)
		return false;
	if (queue->config.event_idx) {
		word = vring_available_event(used, queue->config.size);
		vring_store(word, queue->next_available);
	} else {
		word = &used->flags;
		vring_store(word, enable ? 0 : VRING_USED_NO_NOTIFY);
	}
	guest_memory_mark_dirty(queue->memory, word, sizeof(*word));
	if (!enable)
		return false;
	/*
	 * The driver moves the available index, then looks whether we want a kick. An entry that
	 * it adds after our last pop and before it can see the store above comes without one:
	 * looking again behind a full barrier finds it.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return queue->replay_next < queue->replay_count ||
	       vring_load_available_index(queue->available) != queue->next_available;
}
