/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACTIVATE: the driver is ready. Guest memory is mapped and the rings found; nothing of guest
 * memory is touched before the answer when it is served on demand, since the core can only serve it
 * once it has our userfaultfd.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/epoll.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "devworkers/common/on_demand.h"
#include "devworkers/common/worker_context.h"
#include "ipc/cleanup.h"

/* fds of the message, in its order; consumed one by one. */
struct fd_list {
	int *fds;
	unsigned count, next;
};

static int *next_fd(struct fd_list *list)
{
	return &list->fds[list->next++];
}

static int check_counts(const Bulkhead__Worker__Activate *activate, unsigned fd_count,
			struct error *err)
{
	uint64_t expected;

	if (activate->n_memory == 0 || activate->n_memory > GUEST_MEMORY_MAX_REGIONS ||
	    activate->n_queues > WORKER_MAX_QUEUES)
		return error_set(err, -EPROTO, "activate with %zu memory regions and %zu queues",
				 activate->n_memory, activate->n_queues);
	expected = activate->n_memory + 2 * activate->n_queues + activate->has_inflight_log +
		   activate->memory_on_demand;
	if (fd_count != expected)
		return error_set(err, -EPROTO, "activate with %u descriptors instead of %" PRIu64,
				 fd_count, expected);
	return 0;
}

static int check_features(const struct worker *worker, uint64_t features, struct error *err)
{
	if (features & ~worker->description.features)
		return error_set(err, -EINVAL, "features 0x%" PRIx64 " were not offered",
				 features & ~worker->description.features);
	if (!(features & (UINT64_C(1) << VIRTIO_F_VERSION_1)))
		return error_set(err, -EINVAL, "the driver did not accept VERSION_1");
	return 0;
}

static int map_memory(struct worker *worker, const Bulkhead__Worker__Activate *activate,
		      struct fd_list *fds, struct error *err)
{
	for (size_t i = 0; i < activate->n_memory; i++) {
		const Bulkhead__Worker__MemoryRegion *region = activate->memory[i];
		int *fd = next_fd(fds);
		int ret =
			guest_memory_add_region(&worker->memory, region->guest_physical_address,
						region->size_bytes, *fd, region->file_offset, err);

		if (ret < 0)
			return ret;
		(void)fd_steal(fd);
	}
	if (worker->dirty_log_fd < 0)
		return 0;
	return guest_memory_dirty_log_start(&worker->memory, worker->dirty_log_fd, err);
}

static unsigned largest_queue(const struct worker_description *description)
{
	unsigned largest = 0;

	for (unsigned i = 0; i < description->queue_count; i++)
		if (description->queue_sizes[i] > largest)
			largest = description->queue_sizes[i];
	return largest;
}

static int open_inflight_log(struct worker *worker, int fd, struct error *err)
{
	worker->inflight = inflight_log_open(fd, worker->description.queue_count,
					     largest_queue(&worker->description), err);
	return worker->inflight ? 0 : err->code;
}

/* Where the queue starts: zero, or the saved indices. */
static int find_indices(const struct worker *worker, const Bulkhead__Worker__Queue *queue,
			struct virtqueue_config *config, struct error *err)
{
	const Bulkhead__Worker__SavedQueue *saved;

	/* Restarted after a crash: there is no saved state, the in-flight log knows. */
	if (!queue->restored || (!worker->saved && worker->inflight))
		return 0;
	saved = worker_find_saved_queue(worker, queue, err);
	if (!saved)
		return -EINVAL;
	config->next_available = (uint16_t)saved->next_available;
	config->next_used = (uint16_t)saved->next_used;
	return 0;
}

static int start_queue(struct worker *worker, const Bulkhead__Worker__Queue *queue,
		       uint64_t features, int *kick_fd, int *call_fd, struct error *err)
{
	struct virtqueue_config config = {
		.index = (uint16_t)queue->index,
		.size = (uint16_t)queue->size,
		.descriptor_area = queue->descriptor_area,
		.driver_area = queue->driver_area,
		.device_area = queue->device_area,
		.event_idx = features & (UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX),
		.indirect = features & (UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC),
	};
	struct worker_queue *slot;
	int ret;

	if (queue->index >= worker->description.queue_count || worker->queues[queue->index].started)
		return error_set(err, -EINVAL, "queue %" PRIu32 " is not there or there twice",
				 queue->index);
	if (queue->size > worker->description.queue_sizes[queue->index])
		return error_set(err, -EINVAL, "queue %" PRIu32 " has size %" PRIu32, queue->index,
				 queue->size);
	ret = find_indices(worker, queue, &config, err);
	if (ret < 0)
		return ret;
	slot = &worker->queues[queue->index];
	ret = virtqueue_start(&slot->queue, &config, &worker->memory,
			      worker->inflight ? inflight_log_queue(worker->inflight, queue->index)
					       : NULL,
			      *kick_fd, *call_fd, err);
	if (ret < 0)
		return ret;
	(void)fd_steal(kick_fd);
	(void)fd_steal(call_fd);
	slot->worker = worker;
	slot->started = true;
	return 0;
}

static void queue_kicked(void *opaque, uint32_t events)
{
	struct worker_queue *slot = opaque;
	struct worker *worker = slot->worker;

	(void)events;
	/* A kick that is dropped here is made good by RESUME, which looks at every queue. */
	if (!worker->quiescing && !worker->needs_reset)
		worker->ops->queue_ready(worker, &slot->queue);
}

static int watch_queue(struct worker *worker, struct worker_queue *slot, struct error *err)
{
	/*
	 * Edge triggered and never read: each write to an eventfd is an edge of its own, whatever
	 * it holds, so a system call per kick is saved.
	 */
	slot->watch = loop_watch_fd(worker->loop, slot->queue.kick_fd, EPOLLIN | EPOLLET,
				    queue_kicked, slot);
	if (!slot->watch)
		return error_set_errno(err, -errno, "watch queue %u", slot->queue.config.index);
	return 0;
}

static int start_queues(struct worker *worker, const Bulkhead__Worker__Activate *activate,
			struct fd_list *fds, struct error *err)
{
	for (size_t i = 0; i < activate->n_queues; i++) {
		int *kick_fd = next_fd(fds), *call_fd = next_fd(fds);
		int ret = start_queue(worker, activate->queues[i], activate->features, kick_fd,
				      call_fd, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The rings of a restored or restarted queue, where memory is there to be looked at. */
static int check_rings(struct worker *worker, const Bulkhead__Worker__Activate *activate,
		       struct error *err)
{
	for (size_t i = 0; i < activate->n_queues; i++) {
		struct virtqueue *queue = &worker->queues[activate->queues[i]->index].queue;
		int ret;

		virtqueue_take_over(queue);
		if (!activate->queues[i]->restored)
			continue;
		ret = virtqueue_check_available(queue, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int check_saved_activation(const struct worker *worker,
				  const Bulkhead__Worker__Activate *activate, struct error *err)
{
	bool restored = false;

	for (size_t i = 0; i < activate->n_queues; i++)
		restored |= activate->queues[i]->restored;
	if (restored && worker->saved && worker->saved->features != activate->features)
		return error_set(err, -EINVAL, "the saved state has other features");
	return 0;
}

static int activate_device(struct worker *worker, const Bulkhead__Worker__Activate *activate,
			   struct fd_list *fds, struct error *err)
{
	int ret = check_features(worker, activate->features, err);

	if (ret == 0)
		ret = check_saved_activation(worker, activate, err);
	if (ret == 0)
		ret = map_memory(worker, activate, fds, err);
	/* The log's fd comes after the queues', but queues need the log. */
	if (ret == 0 && activate->has_inflight_log)
		ret = open_inflight_log(worker, fds->fds[fds->next + 2 * activate->n_queues], err);
	if (ret == 0 && activate->memory_on_demand) {
		ret = on_demand_register(&worker->memory, fds->fds[fds->count - 1], err);
		if (ret >= 0) {
			worker->userfaultfd = ret;
			ret = 0;
		}
	}
	if (ret == 0)
		ret = start_queues(worker, activate, fds, err);
	if (ret == 0 && !activate->memory_on_demand)
		ret = check_rings(worker, activate, err);
	worker->features = activate->features;
	if (ret == 0 && worker->ops->activate)
		ret = worker->ops->activate(worker, activate->features, err);
	for (unsigned i = 0; ret == 0 && i < WORKER_MAX_QUEUES; i++)
		if (worker->queues[i].started)
			ret = watch_queue(worker, &worker->queues[i], err);
	return ret;
}

int worker_activate(struct worker *worker, struct channel_message *message, struct error *failure,
		    struct error *err)
{
	const Bulkhead__Worker__Activate *activate = (const void *)message->body;
	struct fd_list fds = {message->fds, message->fd_count, 0};
	int ret = check_counts(activate, message->fd_count, err);

	if (ret < 0)
		return ret;
	if (worker->active) {
		error_set(failure, -EBUSY, "the device is active");
		return 0;
	}
	if (activate_device(worker, activate, &fds, failure) < 0) {
		if (worker->ops->reset)
			worker->ops->reset(worker);
		worker_release_guest(worker);
		return 0;
	}
	worker->active = true;
	worker->quiescing = worker->quiescing || activate->quiesced;
	worker->state = worker->quiescing ? BULKHEAD__WORKER__STATE__STATE_QUIESCED
					  : BULKHEAD__WORKER__STATE__STATE_RUNNING;
	return 0;
}
