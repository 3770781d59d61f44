/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver side of a split virtqueue (virtio 1.2, 2.7): rings in fresh pages, chains direct or
 * indirect, EVENT_IDX when negotiated, one MSI-X vector with its own counter.
 */
#ifndef GUEST_VIRTQUEUE_H
#define GUEST_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio_pci.h"

#define VIRTQUEUE_SIZE_MAX    128
#define VIRTQUEUE_SEGMENT_MAX 16

#define VIRTQ_DESC_NEXT	    1
#define VIRTQ_DESC_WRITE    2
#define VIRTQ_DESC_INDIRECT 4

struct virtq_desc {
	uint64_t gpa;
	uint32_t size_bytes;
	uint16_t flags;
	uint16_t next;
};

struct virtq_available {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[]; /* followed by used_event */
};

struct virtq_used_element {
	uint32_t id;
	uint32_t length;
};

struct virtq_used {
	uint16_t flags;
	uint16_t index;
	struct virtq_used_element ring[]; /* followed by avail_event */
};

/* One buffer of a chain. */
struct virtqueue_segment {
	void *data;
	uint32_t size_bytes;
	bool device_writes;
};

struct virtqueue {
	struct virtio_device *device;
	uint16_t index;
	uint16_t size;
	uint16_t free_head;
	uint16_t free_count;
	uint16_t available_index; /* next slot of the available ring; wraps at 65536 */
	uint16_t kicked_index;	  /* available_index at the last kick */
	uint16_t used_index;	  /* next used element to read */
	volatile struct virtq_desc *descriptors;
	volatile struct virtq_available *available;
	volatile struct virtq_used *used;
	struct virtq_desc *indirect_tables; /* NULL if not negotiated; one table per descriptor */
	uint64_t notify_gpa;
	uint32_t interrupts_consumed; /* the count when the used ring was last seen empty */
};

/*
 * Sets the queue up between virtio_begin() and virtio_finish(), with MSI-X entry index + 1 (entry
 * 0 is for configuration changes) or, if the device has too few entries, the last one. The
 * interrupt comes to the calling CPU. Returns NULL, or what failed. Pages of an earlier set-up of
 * the same struct are used again.
 */
const char *virtqueue_setup(struct virtqueue *queue, struct virtio_device *device, uint16_t index);

/* The MSI-X entry that virtqueue_setup() took. Queues share the last one if there are too few. */
uint16_t virtqueue_msix_entry(const struct virtqueue *queue);

/* How many interrupts have come by the queue's MSI-X entry since virtqueue_setup(). */
uint32_t virtqueue_interrupt_count(const struct virtqueue *queue);

/*
 * Puts a chain into the available ring (not visible to the device before virtqueue_kick()).
 * Returns the head descriptor, or -1 if the queue is full.
 */
int virtqueue_add(struct virtqueue *queue, const struct virtqueue_segment *segments,
		  uint16_t segment_count);

/* Publishes what was added; notifies the device unless it asked not to be. */
void virtqueue_kick(struct virtqueue *queue);

/* Takes the next used element. Returns its head, or -1 if there is none or it is nonsense. */
int virtqueue_pop_used(struct virtqueue *queue, uint32_t *length);

/* True if the device has used something that has not been popped. */
bool virtqueue_has_used(const struct virtqueue *queue);

/*
 * Waits, halted, for a used element and pops it. Returns its head or -1 on time-out. The first
 * element after the ring was empty must come with an interrupt: without one it is a time-out too.
 */
int virtqueue_wait(struct virtqueue *queue, uint32_t *length, uint64_t timeout_us);

#endif
