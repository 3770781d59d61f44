/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "page_alloc.h"
#include "watch.h"

#define RNG_BYTES 16

static struct virtqueue *watched_queue(struct watched_device *watched)
{
	switch (watched->type) {
	case VIRTIO_BLOCK:
		return &watched->driver.blk.queues[0];
	case VIRTIO_RNG:
		return &watched->driver.rng.queue;
	default:
		return &watched->driver.console.transmit;
	}
}

struct virtio_device *watched_virtio(struct watched_device *watched)
{
	switch (watched->type) {
	case VIRTIO_BLOCK:
		return &watched->driver.blk.device;
	case VIRTIO_RNG:
		return &watched->driver.rng.device;
	default:
		return &watched->driver.console.device;
	}
}

static const char *watched_start_driver(struct watched_device *watched)
{
	switch (watched->type) {
	case VIRTIO_BLOCK:
		return blk_start(&watched->driver.blk, 0);
	case VIRTIO_RNG:
		return rng_start(&watched->driver.rng, 0);
	default:
		return console_start(&watched->driver.console, 0);
	}
}

bool watched_start(struct watched_device *watched)
{
	if (watched->buffer == NULL) {
		watched->buffer = page_alloc(1);
	}
	if (!virtio_reset(watched_virtio(watched))) {
		return false;
	}
	watched->pending = false;
	watched->problem = watched_start_driver(watched);
	return true;
}

static bool watched_submit(struct watched_device *watched)
{
	static const char text[] = "watch\n";
	struct virtqueue_segment segment = {watched->buffer, RNG_BYTES, true};
	struct virtqueue *queue = watched_queue(watched);
	int head;

	if (watched->type == VIRTIO_BLOCK) {
		head = blk_submit(&watched->driver.blk, 0, BLK_IN, 0, watched->buffer,
				  BLK_SECTOR_BYTES, BLK_SECTOR_BYTES);
	} else {
		if (watched->type == VIRTIO_CONSOLE) {
			segment = (struct virtqueue_segment){(void *)(uintptr_t)text,
							     sizeof(text) - 1, false};
		}
		head = virtqueue_add(queue, &segment, 1);
	}
	if (head >= 0) {
		virtqueue_kick(queue);
	}
	return head >= 0;
}

static const char *watched_check(struct watched_device *watched, int head, uint32_t length)
{
	if (watched->type == VIRTIO_BLOCK && watched->driver.blk.slots[head].status != BLK_OK) {
		return "io-error";
	}
	return watched->type == VIRTIO_RNG && length == 0 ? "empty" : "ok";
}

const char *watched_ask(struct watched_device *watched, uint64_t timeout_us)
{
	uint32_t length = 0;
	int head;

	if (watched->problem != NULL) {
		return "not-started";
	}
	if (virtio_read_status(watched_virtio(watched)) & VIRTIO_NEEDS_RESET) {
		return "needs-reset";
	}
	if (!watched->pending && !watched_submit(watched)) {
		return "queue-full";
	}
	watched->pending = true;
	head = virtqueue_wait(watched_queue(watched), &length, timeout_us);
	if (head < 0) {
		return virtio_read_status(watched_virtio(watched)) & VIRTIO_NEEDS_RESET
			       ? "needs-reset"
			       : "busy";
	}
	watched->pending = false;
	return watched_check(watched, head, length);
}
