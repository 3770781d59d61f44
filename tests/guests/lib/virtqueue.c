/* SPDX-License-Identifier: Apache-2.0 */
#include "virtqueue.h"

#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "interrupt.h"
#include "lapic.h"
#include "mmio.h"
#include "page_alloc.h"
#include "string.h"

#define USED_NO_NOTIFY 1

static void virtqueue_on_interrupt(void *argument)
{
	volatile uint32_t *count = argument;

	(*count)++;
}

static size_t virtqueue_pages(size_t size_bytes)
{
	return (size_bytes + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES;
}

/* The event index fields sit behind the rings (virtio 1.2, 2.7.6 and 2.7.8). */
static volatile uint16_t *virtqueue_used_event(const struct virtqueue *queue)
{
	return &queue->available->ring[queue->size];
}

static volatile uint16_t *virtqueue_available_event(const struct virtqueue *queue)
{
	return (volatile uint16_t *)&queue->used->ring[queue->size];
}

static bool virtqueue_has_event_index(const struct virtqueue *queue)
{
	return queue->device->features & VIRTIO_F_EVENT_IDX;
}

static void virtqueue_allocate_rings(struct virtqueue *queue)
{
	if (queue->descriptors == NULL) {
		queue->descriptors =
			page_alloc(virtqueue_pages(queue->size * sizeof(struct virtq_desc)));
		queue->available = page_alloc(1);
		queue->used = page_alloc(1);
	} else {
		memset((void *)(uintptr_t)queue->descriptors, 0,
		       queue->size * sizeof(struct virtq_desc));
		memset((void *)(uintptr_t)queue->available, 0, PAGE_SIZE_BYTES);
		memset((void *)(uintptr_t)queue->used, 0, PAGE_SIZE_BYTES);
	}
	if ((queue->device->features & VIRTIO_F_INDIRECT_DESC) && queue->indirect_tables == NULL) {
		queue->indirect_tables = page_alloc_unzeroed(virtqueue_pages(
			(size_t)queue->size * VIRTQUEUE_SEGMENT_MAX * sizeof(struct virtq_desc)));
	}
	for (uint16_t i = 0; i < queue->size; i++) {
		queue->descriptors[i].next = (uint16_t)(i + 1);
	}
	queue->free_head = 0;
	queue->free_count = queue->size;
	queue->available_index = 0;
	queue->kicked_index = 0;
	queue->used_index = 0;
}

uint16_t virtqueue_msix_entry(const struct virtqueue *queue)
{
	uint16_t count = queue->device->msix.entry_count;
	uint16_t last = (uint16_t)((count > VIRTIO_MSIX_MAX ? VIRTIO_MSIX_MAX : count) - 1);

	return queue->index + 1 > last ? last : (uint16_t)(queue->index + 1);
}

uint32_t virtqueue_interrupt_count(const struct virtqueue *queue)
{
	return queue->device->entry_interrupts[virtqueue_msix_entry(queue)];
}

static const char *virtqueue_route_interrupt(struct virtqueue *queue)
{
	struct virtio_device *device = queue->device;
	uint16_t entry = virtqueue_msix_entry(queue);

	if (device->entry_vector[entry] == 0)
		device->entry_vector[entry] = interrupt_allocate_vector();
	device->entry_interrupts[entry] = 0;
	queue->interrupts_consumed = 0;
	interrupt_set_handler(device->entry_vector[entry], virtqueue_on_interrupt,
			      (void *)(uintptr_t)&device->entry_interrupts[entry]);
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_VECTOR, entry);
	if (virtio_common_read16(device, VIRTIO_COMMON_QUEUE_VECTOR) != entry) {
		return "the queue's MSI-X vector was refused";
	}
	msix_set_entry(&device->msix, entry, lapic_id(), device->entry_vector[entry], false);
	return NULL;
}

static uint16_t virtqueue_choose_size(const struct virtio_device *device)
{
	uint16_t size = virtio_common_read16(device, VIRTIO_COMMON_QUEUE_SIZE);

	return size > VIRTQUEUE_SIZE_MAX ? VIRTQUEUE_SIZE_MAX : size;
}

const char *virtqueue_setup(struct virtqueue *queue, struct virtio_device *device, uint16_t index)
{
	const char *problem;
	uint16_t size;

	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SELECT, index);
	size = virtqueue_choose_size(device);
	if (size == 0) {
		return "the queue does not exist";
	}
	if (queue->descriptors != NULL && size > queue->size) {
		return "the queue size changed";
	}
	queue->device = device;
	queue->index = index;
	queue->size = size;
	virtqueue_allocate_rings(queue);
	problem = virtqueue_route_interrupt(queue);
	if (problem != NULL) {
		return problem;
	}
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SIZE, size);
	virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DESC, (uintptr_t)queue->descriptors);
	virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DRIVER, (uintptr_t)queue->available);
	virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DEVICE, (uintptr_t)queue->used);
	queue->notify_gpa = device->notify_gpa +
			    (uint64_t)device->notify_multiplier *
				    virtio_common_read16(device, VIRTIO_COMMON_QUEUE_NOTIFY_OFF);
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_ENABLE, 1);
	return NULL;
}

static void virtqueue_fill_descriptor(volatile struct virtq_desc *descriptor,
				      const struct virtqueue_segment *segment, bool has_next)
{
	descriptor->gpa = (uintptr_t)segment->data;
	descriptor->size_bytes = segment->size_bytes;
	descriptor->flags = (uint16_t)((segment->device_writes ? VIRTQ_DESC_WRITE : 0) |
				       (has_next ? VIRTQ_DESC_NEXT : 0));
}

static void virtqueue_add_indirect(struct virtqueue *queue, uint16_t head,
				   const struct virtqueue_segment *segments, uint16_t count)
{
	struct virtq_desc *table = queue->indirect_tables + (size_t)head * VIRTQUEUE_SEGMENT_MAX;

	for (uint16_t i = 0; i < count; i++) {
		virtqueue_fill_descriptor(&table[i], &segments[i], i + 1 < count);
		table[i].next = (uint16_t)(i + 1);
	}
	queue->free_head = queue->descriptors[head].next;
	queue->free_count--;
	queue->descriptors[head].gpa = (uintptr_t)table;
	queue->descriptors[head].size_bytes = (uint32_t)(count * sizeof(*table));
	queue->descriptors[head].flags = VIRTQ_DESC_INDIRECT;
}

static void virtqueue_add_direct(struct virtqueue *queue, const struct virtqueue_segment *segments,
				 uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		volatile struct virtq_desc *descriptor = &queue->descriptors[queue->free_head];

		virtqueue_fill_descriptor(descriptor, &segments[i], i + 1 < count);
		queue->free_head = descriptor->next;
	}
	queue->free_count = (uint16_t)(queue->free_count - count);
}

int virtqueue_add(struct virtqueue *queue, const struct virtqueue_segment *segments,
		  uint16_t segment_count)
{
	bool indirect = queue->device->features & VIRTIO_F_INDIRECT_DESC;
	uint16_t head = queue->free_head;

	if (segment_count == 0 || segment_count > VIRTQUEUE_SEGMENT_MAX ||
	    queue->free_count < (indirect ? 1 : segment_count)) {
		return -1;
	}
	if (indirect) {
		virtqueue_add_indirect(queue, head, segments, segment_count);
	} else {
		virtqueue_add_direct(queue, segments, segment_count);
	}
	queue->available->ring[queue->available_index % queue->size] = head;
	queue->available_index++;
	return head;
}

static bool virtqueue_device_wants_kick(const struct virtqueue *queue)
{
	if (virtqueue_has_event_index(queue)) {
		uint16_t event = *virtqueue_available_event(queue);

		return (uint16_t)(queue->available_index - event - 1) <
		       (uint16_t)(queue->available_index - queue->kicked_index);
	}
	return !(queue->used->flags & USED_NO_NOTIFY);
}

void virtqueue_kick(struct virtqueue *queue)
{
	cpu_compiler_barrier();
	queue->available->index = queue->available_index;
	/* The device writes its wish, then reads the index: we must write the index, then read. */
	cpu_full_barrier();
	if (virtqueue_device_wants_kick(queue)) {
		mmio_write16(queue->notify_gpa, queue->index);
	}
	queue->kicked_index = queue->available_index;
}

bool virtqueue_has_used(const struct virtqueue *queue)
{
	return queue->used->index != queue->used_index;
}

static void virtqueue_free_chain(struct virtqueue *queue, uint16_t head)
{
	uint16_t last = head;
	uint16_t count = 1;

	while ((queue->descriptors[last].flags & VIRTQ_DESC_NEXT) && count < queue->size) {
		last = queue->descriptors[last].next;
		count++;
	}
	queue->descriptors[last].next = queue->free_head;
	queue->free_head = head;
	queue->free_count = (uint16_t)(queue->free_count + count);
}

int virtqueue_pop_used(struct virtqueue *queue, uint32_t *length)
{
	uint32_t id;

	if (!virtqueue_has_used(queue)) {
		return -1;
	}
	cpu_compiler_barrier();
	id = queue->used->ring[queue->used_index % queue->size].id;
	*length = queue->used->ring[queue->used_index % queue->size].length;
	queue->used_index++;
	if (virtqueue_has_event_index(queue)) {
		*virtqueue_used_event(queue) = queue->used_index;
		cpu_full_barrier();
	}
	if (!virtqueue_has_used(queue)) {
		queue->interrupts_consumed = virtqueue_interrupt_count(queue);
	}
	if (id >= queue->size) {
		return -1;
	}
	virtqueue_free_chain(queue, (uint16_t)id);
	return (int)id;
}

static bool virtqueue_is_served(void *argument)
{
	const struct virtqueue *queue = argument;

	return virtqueue_has_used(queue) &&
	       virtqueue_interrupt_count(queue) != queue->interrupts_consumed;
}

int virtqueue_wait(struct virtqueue *queue, uint32_t *length, uint64_t timeout_us)
{
	if (!clock_wait_until(virtqueue_is_served, queue, timeout_us)) {
		return -1;
	}
	return virtqueue_pop_used(queue, length);
}
