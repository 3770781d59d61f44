/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_blk.h"

#include <stddef.h>

#include "mmio.h"
#include "page_alloc.h"

#define CONFIG_CAPACITY	     0
#define CONFIG_NUM_QUEUES    34
#define STATUS_NEVER_WRITTEN 0xEE

static uint16_t blk_choose_queue_count(const struct virtio_blk *blk)
{
	uint16_t count = 1;

	if (blk->device.features & BLK_F_MQ) {
		count = mmio_read16(blk->device.config_gpa + CONFIG_NUM_QUEUES);
	}
	return count > BLK_QUEUE_MAX ? BLK_QUEUE_MAX : count;
}

static uint64_t blk_read_capacity(const struct virtio_blk *blk)
{
	uint64_t gpa = blk->device.config_gpa + CONFIG_CAPACITY;

	return mmio_read32(gpa) | ((uint64_t)mmio_read32(gpa + 4) << 32);
}

const char *blk_start(struct virtio_blk *blk, uint64_t wanted_features)
{
	const char *problem = virtio_begin(&blk->device, wanted_features);

	if (problem != NULL) {
		return problem;
	}
	if (blk->device.config_gpa == 0) {
		return "no device configuration structure";
	}
	if (blk->slots == NULL) {
		size_t size_bytes = sizeof(*blk->slots) * VIRTQUEUE_SIZE_MAX * BLK_QUEUE_MAX;
		blk->slots = page_alloc((size_bytes + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES);
	}
	blk->capacity_sectors = blk_read_capacity(blk);
	blk->queue_count = blk_choose_queue_count(blk);
	for (uint16_t i = 0; i < blk->queue_count; i++) {
		problem = virtqueue_setup(&blk->queues[i], &blk->device, i);
		if (problem != NULL) {
			return problem;
		}
	}
	virtio_finish(&blk->device);
	return NULL;
}

static bool blk_device_reads_data(uint32_t type)
{
	return type == BLK_OUT || type == BLK_DISCARD || type == BLK_WRITE_ZEROES;
}

int blk_submit(struct virtio_blk *blk, uint16_t queue_index, uint32_t type, uint64_t sector,
	       void *data, uint32_t size_bytes, uint32_t segment_bytes)
{
	struct virtqueue *queue = &blk->queues[queue_index];
	struct virtqueue_segment segments[VIRTQUEUE_SEGMENT_MAX];
	struct blk_slot *slot = &blk->slots[queue_index * VIRTQUEUE_SIZE_MAX + queue->free_head];
	uint16_t count = 1;

	if (queue->free_count == 0) {
		return BLK_QUEUE_FULL;
	}
	slot->header = (struct blk_request_header){.type = type, .sector = sector};
	slot->status = STATUS_NEVER_WRITTEN;
	segments[0] = (struct virtqueue_segment){&slot->header, sizeof(slot->header), false};
	for (uint32_t offset = 0; offset < size_bytes && count < VIRTQUEUE_SEGMENT_MAX - 1;) {
		uint32_t size =
			size_bytes - offset < segment_bytes ? size_bytes - offset : segment_bytes;

		segments[count++] = (struct virtqueue_segment){
			(char *)data + offset,
			size,
			!blk_device_reads_data(type),
		};
		offset += size;
	}
	segments[count++] = (struct virtqueue_segment){(void *)(uintptr_t)&slot->status, 1, true};
	int head = virtqueue_add(queue, segments, count);
	return head < 0 ? BLK_QUEUE_FULL : head;
}

int blk_request(struct virtio_blk *blk, uint16_t queue_index, uint32_t type, uint64_t sector,
		void *data, uint32_t size_bytes)
{
	struct virtqueue *queue = &blk->queues[queue_index];
	int head = blk_submit(blk, queue_index, type, sector, data, size_bytes, size_bytes);

	if (head < 0) {
		return head;
	}
	virtqueue_kick(queue);
	if (virtqueue_wait(queue, &blk->last_length, BLK_TIMEOUT_US) != head) {
		return BLK_NO_ANSWER;
	}
	return blk->slots[queue_index * VIRTQUEUE_SIZE_MAX + head].status;
}
