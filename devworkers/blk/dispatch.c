/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/virtio_blk.h>

#include "devworkers/blk/drain.h"
#include "devworkers/blk/execute.h"
#include "ipc/log.h"

/* Chains popped before the other queues, the socket and finished I/O get their turn. */
#define BATCH_CHAINS 32U
/* Up to so many waiting chains, a system call each is cheaper than the engine. */
#define INLINE_CHAINS 2U

uint64_t blk_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* ---- slots --------------------------------------------------------------------------------- */

static void *map_buffer(size_t bytes)
{
	void *buffer =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return buffer == MAP_FAILED ? NULL : buffer;
}

static size_t segments_bytes(const struct blk_device *device)
{
	return sizeof(struct iovec) * BLK_SLOT_COUNT * device->queue_size;
}

int dispatch_init(struct blk_device *device, struct error *err)
{
	/* Mapped rather than allocated: what is never touched costs nothing. */
	device->slots = map_buffer(sizeof(struct slot) * BLK_SLOT_COUNT);
	device->segments = map_buffer(segments_bytes(device));
	device->zeroes = map_buffer(BLK_ZEROES_BYTES);
	device->bounce.buffer = map_buffer(BLK_BOUNCE_BYTES);
	device->bounce.buffer_bytes = BLK_BOUNCE_BYTES;
	if (!device->slots || !device->segments || !device->zeroes || !device->bounce.buffer)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static void unmap_buffer(void *buffer, size_t bytes)
{
	if (buffer)
		munmap(buffer, bytes);
}

void dispatch_destroy(struct blk_device *device)
{
	unmap_buffer(device->slots, sizeof(struct slot) * BLK_SLOT_COUNT);
	unmap_buffer(device->segments, segments_bytes(device));
	unmap_buffer(device->zeroes, BLK_ZEROES_BYTES);
	unmap_buffer(device->bounce.buffer, BLK_BOUNCE_BYTES);
	device->slots = NULL;
	device->segments = NULL;
	device->zeroes = NULL;
	device->bounce.buffer = NULL;
}

/* The slot freed last is used first: its memory is warm. Fresh ones are taken as needed. */
static struct slot *peek_slot(struct blk_device *device)
{
	struct slot *slot = device->free_slots;

	if (!slot && device->slots_made < BLK_SLOT_COUNT) {
		slot = &device->slots[device->slots_made];
		slot->chain.segments =
			&device->segments[(size_t)device->slots_made * device->queue_size];
		slot->chain.segment_capacity = device->queue_size;
		slot->next = NULL;
		device->slots_made++;
		device->free_slots = slot;
	}
	return slot;
}

static void take_slot(struct blk_device *device, struct slot *slot, struct virtqueue *queue)
{
	device->free_slots = slot->next;
	device->slots_in_use++;
	slot->queue = queue;
	slot->generation = device->generation;
	slot->written_bytes = 0;
	slot->started_ns = device->now_ns;
}

static void give_slot(struct blk_device *device, struct slot *slot)
{
	slot->next = device->free_slots;
	device->free_slots = slot;
	device->slots_in_use--;
}

/* ---- answers ------------------------------------------------------------------------------- */

static void publish(struct blk_device *device, struct slot *slot, uint8_t status)
{
	struct virtqueue *queue = slot->queue;

	/* The queue may be another one since, in other memory. */
	if (slot->generation != device->generation)
		return;
	__atomic_store_n(slot->request.status, status, __ATOMIC_RELAXED);
	guest_memory_mark_dirty(worker_memory(device->worker), slot->request.status, 1);
	virtqueue_push_deferred(queue, slot->chain.head, slot->written_bytes + 1);
	device->to_notify |= 1U << queue->config.index;
}

void dispatch_finish(struct blk_device *device, struct slot *slot, uint8_t status)
{
	publish(device, slot, status);
	if (status == VIRTIO_BLK_S_OK)
		stats_add(&device->stats, &slot->request, device->now_ns - slot->started_ns);
	else
		stats_add_error(&device->stats);
	give_slot(device, slot);
	execute_next_alone(device);
}

static void notify_queues(struct blk_device *device)
{
	while (device->to_notify) {
		unsigned index = (unsigned)__builtin_ctz(device->to_notify);
		struct virtqueue *queue = worker_queue(device->worker, index);

		device->to_notify &= device->to_notify - 1;
		if (queue)
			virtqueue_notify(queue);
	}
}

void dispatch_io_done(void *opaque, struct engine_io *io)
{
	struct blk_device *device = opaque;

	if (io == &device->drain_io)
		drain_synced(device);
	else
		execute_advance(device, (struct slot *)io);
}

/* ---- popping ------------------------------------------------------------------------------- */

static void needs_reset(struct blk_device *device, const char *reason)
{
	device->backlog = 0;
	worker_needs_reset(device->worker, reason);
}

/* 1: popped; 0: empty; negative: the device needs reset. */
static int pop_one(struct blk_device *device, struct virtqueue *queue, struct slot *slot)
{
	struct error err = ERROR_INIT;
	int status = virtqueue_pop(queue, &slot->chain, &err);

	if (status < 0)
		needs_reset(device, err.message);
	if (status <= 0)
		return status;
	take_slot(device, slot, queue);
	status = request_parse(&slot->request, &slot->chain, &device->limits);
	if (status == -EPROTO) {
		give_slot(device, slot);
		virtqueue_unpop(queue, slot->chain.head);
		needs_reset(device, "a request has no room for its status");
		return status;
	}
	if (status == VIRTIO_BLK_S_OK)
		execute_start(device, slot);
	else
		dispatch_finish(device, slot, (uint8_t)status);
	return 1;
}

/* How many chains the driver has made available: a hint, the ring is checked by pop. */
static unsigned waiting_chains(const struct virtqueue *queue)
{
	uint16_t available = __atomic_load_n(&queue->available[1], __ATOMIC_RELAXED);

	return (uint16_t)(available - queue->next_available);
}

/* Somebody has the device alone, or is about to. */
static bool must_wait(const struct blk_device *device)
{
	return device->alone_count > 0 || device->alone_running;
}

/* True when the queue was emptied, false when it has to go on later (or never). */
static bool pop_batch(struct blk_device *device, struct virtqueue *queue)
{
	device->batch_is_small = waiting_chains(queue) <= INLINE_CHAINS;
	for (unsigned i = 0; i < BATCH_CHAINS; i++) {
		struct slot *slot = must_wait(device) ? NULL : peek_slot(device);
		int status;

		if (!slot)
			break;
		status = pop_one(device, queue, slot);
		/* The driver can prepare its next request while we do this one's successor. */
		if (status > 0 && slot->request.length_bytes >= BLK_LARGE_BYTES)
			notify_queues(device);
		if (status <= 0)
			return status == 0;
	}
	device->backlog |= 1U << queue->config.index;
	return false;
}

void dispatch_queue(struct blk_device *device, struct virtqueue *queue)
{
	if (worker_is_quiescing(device->worker))
		return;
	/* Resumed before a drain came to its end: it was given up. */
	device->draining = false;
	device->now_ns = blk_now_ns();
	device->backlog &= ~(1U << queue->config.index);
	virtqueue_enable_kicks(queue, false);
	do {
		/* Entries that came with the kicks still off are popped without one. */
		if (!pop_batch(device, queue))
			return;
	} while (virtqueue_enable_kicks(queue, true));
}

static bool can_pop(const struct blk_device *device)
{
	return device->backlog && !must_wait(device) && !worker_is_quiescing(device->worker) &&
	       device->slots_in_use < BLK_SLOT_COUNT;
}

static void pop_backlog(struct blk_device *device)
{
	uint32_t queues = device->backlog;

	while (queues && can_pop(device)) {
		unsigned index = (unsigned)__builtin_ctz(queues);
		struct virtqueue *queue = worker_queue(device->worker, index);

		queues &= queues - 1;
		if (queue)
			dispatch_queue(device, queue);
		else
			device->backlog &= ~(1U << index);
	}
}

bool dispatch_idle(void *opaque)
{
	struct blk_device *device = opaque;

	if (!device->engine)
		return false;
	engine_flush(device->engine);
	if (device->engine->in_flight > 0) {
		device->now_ns = blk_now_ns();
		(void)engine_reap(device->engine);
	}
	notify_queues(device);
	if (can_pop(device))
		pop_backlog(device);
	drain_continue(device);
	/* What popping and reaping queued must be submitted before the loop sleeps. */
	if (can_pop(device) || device->to_notify || engine_has_queued(device->engine))
		return true;
	return engine_arm(device->engine);
}

int dispatch_wait_all(struct blk_device *device, struct error *err)
{
	while (device->engine->in_flight > 0) {
		int status = engine_wait(device->engine);

		if (status)
			return error_set_errno(err, status, "waiting for I/O");
		device->now_ns = blk_now_ns();
		engine_reap(device->engine);
	}
	notify_queues(device);
	return 0;
}

void dispatch_reset(struct blk_device *device)
{
	device->generation++;
	device->backlog = 0;
	device->to_notify = 0;
	device->draining = false;
}
