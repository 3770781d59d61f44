/* SPDX-License-Identifier: Apache-2.0 */
/* Many requests in flight on one queue, and every queue with an interrupt of its own. */
#include <stddef.h>

#include "blk_checks.h"
#include "devices.h"
#include "guest.h"

#define IN_FLIGHT_MAX 32

static uint16_t blk_submit_many(struct blk_check *check, uint16_t queue_index, uint16_t wanted)
{
	struct virtio_blk *blk = check->blk;
	uint16_t count = 0;

	while (count < wanted && blk_submit(blk, queue_index, BLK_IN, count % blk->capacity_sectors,
					    check->readback + (size_t)count * BLK_SECTOR_BYTES,
					    BLK_SECTOR_BYTES, BLK_SECTOR_BYTES) >= 0) {
		count++;
	}
	virtqueue_kick(&blk->queues[queue_index]);
	return count;
}

/* Returns NULL, or what failed. Several rounds, so that the rings wrap. */
static const char *blk_run_in_flight(struct blk_check *check, uint16_t queue_index)
{
	struct virtqueue *queue = &check->blk->queues[queue_index];
	uint32_t length;

	for (int round = 0; round < 10; round++) {
		uint16_t count = blk_submit_many(check, queue_index, IN_FLIGHT_MAX);

		for (uint16_t i = 0; i < count; i++) {
			int head = virtqueue_wait(queue, &length, BLK_TIMEOUT_US);

			if (head < 0) {
				return "a request was never completed";
			}
			if (check->blk->slots[queue_index * VIRTQUEUE_SIZE_MAX + head].status !=
			    BLK_OK) {
				return "a request failed";
			}
		}
		if (count == 0 || queue->free_count != queue->size) {
			return "descriptors are missing after all requests completed";
		}
	}
	return NULL;
}

void blk_check_queues(struct blk_check *check)
{
	for (uint16_t i = 0; i < check->blk->queue_count; i++) {
		const char *problem = blk_run_in_flight(check, i);

		if (problem != NULL) {
			test_fail(devices_name(check->prefix, "queue_serves_many_in_flight"),
				  "queue %u: %s", i, problem);
			return;
		}
	}
	test_ok(devices_name(check->prefix, "queue_serves_many_in_flight"));
	if (check->blk->queue_count > 1) {
		for (uint16_t i = 1; i < check->blk->queue_count; i++) {
			if (virtqueue_interrupt_count(&check->blk->queues[i]) == 0) {
				test_fail(devices_name(check->prefix, "every_queue_interrupts"),
					  "queue %u", i);
				return;
			}
		}
		test_ok(devices_name(check->prefix, "every_queue_interrupts"));
	}
}
