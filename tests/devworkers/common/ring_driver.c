/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/devworkers/common/ring_driver.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int new_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0) {
		perror("eventfd");
		abort();
	}
	return fd;
}

void ring_driver_init(struct ring_driver *ring, struct guest_ram *ram, uint16_t index,
		      uint16_t size, bool event_idx)
{
	memset(ring, 0, sizeof(*ring));
	ring->ram = ram;
	ring->index = index;
	ring->size = size;
	ring->event_idx = event_idx;
	ring->descriptor_area = guest_ram_allocate(ram, vring_descriptor_bytes(size), 16);
	ring->driver_area = guest_ram_allocate(ram, vring_available_bytes(size), 2);
	/* A page of its own, as drivers lay it out: dirty-log tests see which one is written. */
	ring->device_area = guest_ram_allocate(ram, vring_used_bytes(size), 4096);
	ram->next_free = (ram->next_free + 4095) / 4096 * 4096;
	ring->descriptors = guest_ram_at(ram, ring->descriptor_area);
	ring->available = guest_ram_at(ram, ring->driver_area);
	ring->used = guest_ram_at(ram, ring->device_area);
	ring->kick_fd = new_eventfd();
	ring->call_fd = new_eventfd();
	ring_driver_reset(ring);
}

void ring_driver_destroy(struct ring_driver *ring)
{
	if (!ring->ram)
		return;
	close(ring->kick_fd);
	close(ring->call_fd);
	memset(ring, 0, sizeof(*ring));
}

void ring_driver_reset(struct ring_driver *ring)
{
	memset(ring->descriptors, 0, vring_descriptor_bytes(ring->size));
	memset(ring->available, 0, vring_available_bytes(ring->size));
	memset(ring->used, 0, vring_used_bytes(ring->size));
	ring->next_available = ring->last_used = ring->last_kicked = 0;
	ring->free_head = 0;
	ring->free_count = ring->size;
	for (uint16_t i = 0; i < ring->size; i++)
		ring->descriptors[i].next = (uint16_t)(i + 1);
}

void ring_driver_offer(struct ring_driver *ring, uint16_t head)
{
	vring_store(
		&ring->available[VRING_AVAILABLE_RING + (ring->next_available & (ring->size - 1))],
		head);
	ring->next_available++;
	/* The device must see the chain before the index that covers it. */
	__atomic_store_n(&ring->available[VRING_AVAILABLE_INDEX], ring->next_available,
			 __ATOMIC_RELEASE);
}

static void fill(struct vring_descriptor *descriptor, const struct ring_segment *segment,
		 uint16_t more)
{
	descriptor->address = segment->gpa;
	descriptor->length = segment->length;
	descriptor->flags = (uint16_t)(more | (segment->writable ? VRING_DESCRIPTOR_WRITE : 0));
}

int ring_driver_add(struct ring_driver *ring, const struct ring_segment *segments, unsigned count)
{
	uint16_t head = ring->free_head;
	uint16_t at = head;

	if (count == 0 || count > ring->free_count)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		/* Free descriptors are linked already. */
		fill(&ring->descriptors[at], &segments[i],
		     i + 1 < count ? VRING_DESCRIPTOR_NEXT : 0);
		at = ring->descriptors[at].next;
	}
	ring->free_head = at;
	ring->free_count = (uint16_t)(ring->free_count - count);
	ring->chain_length[head] = (uint16_t)count;
	ring_driver_offer(ring, head);
	return head;
}

int ring_driver_add_indirect(struct ring_driver *ring, const struct ring_segment *segments,
			     unsigned count, uint64_t table_gpa)
{
	struct vring_descriptor *table = guest_ram_at(ring->ram, table_gpa);
	uint16_t head = ring->free_head;
	struct vring_descriptor *descriptor = &ring->descriptors[head];

	if (count == 0 || ring->free_count == 0)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		fill(&table[i], &segments[i], i + 1 < count ? VRING_DESCRIPTOR_NEXT : 0);
		table[i].next = (uint16_t)(i + 1);
	}
	ring->free_head = descriptor->next;
	ring->free_count--;
	ring->chain_length[head] = 1;
	descriptor->address = table_gpa;
	descriptor->length = count * (uint32_t)sizeof(*table);
	descriptor->flags = VRING_DESCRIPTOR_INDIRECT;
	ring_driver_offer(ring, head);
	return head;
}

void ring_driver_kick_always(struct ring_driver *ring)
{
	const uint64_t one = 1;

	ring->last_kicked = ring->next_available;
	if (write(ring->kick_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

bool ring_driver_kick(struct ring_driver *ring)
{
	uint16_t old = ring->last_kicked;
	bool wanted;

	/* The index must be out before we read whether the device wants to know. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring->event_idx)
		wanted = vring_need_event(vring_load(vring_available_event(ring->used, ring->size)),
					  ring->next_available, old);
	else
		wanted = !(vring_load(&ring->used->flags) & VRING_USED_NO_NOTIFY);
	ring->last_kicked = ring->next_available;
	if (wanted)
		ring_driver_kick_always(ring);
	return wanted;
}

static bool has_used(const struct ring_driver *ring)
{
	return __atomic_load_n(&ring->used->index, __ATOMIC_ACQUIRE) != ring->last_used;
}

bool ring_driver_take(struct ring_driver *ring, uint16_t *head, uint32_t *length)
{
	const struct vring_used_element *element;
	uint16_t last;

	if (!has_used(ring))
		return false;
	element = &ring->used->ring[ring->last_used & (ring->size - 1)];
	*head = (uint16_t)element->id;
	if (length)
		*length = element->length;
	ring->last_used++;
	last = *head;
	for (uint16_t i = 1; i < ring->chain_length[*head]; i++)
		last = ring->descriptors[last].next;
	ring->descriptors[last].next = ring->free_head;
	ring->free_head = *head;
	ring->free_count = (uint16_t)(ring->free_count + ring->chain_length[*head]);
	ring->chain_length[*head] = 0;
	return true;
}

/* Interrupt at the next used element. */
static void ask_for_call(struct ring_driver *ring)
{
	if (ring->event_idx)
		vring_store(&ring->available[VRING_AVAILABLE_RING + ring->size], ring->last_used);
	/* The event index must be out before we look at the used index again. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool ring_driver_was_called(struct ring_driver *ring)
{
	uint64_t count;

	return read(ring->call_fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

bool ring_driver_wait(struct ring_driver *ring, unsigned timeout_ms)
{
	uint64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd ready = {ring->call_fd, POLLIN, 0};
		uint64_t now;

		ask_for_call(ring);
		if (has_used(ring))
			return true;
		now = now_ms();
		if (now >= deadline || poll(&ready, 1, (int)(deadline - now)) < 0)
			return false;
		(void)ring_driver_was_called(ring);
	}
}

bool ring_driver_complete(struct ring_driver *ring, unsigned timeout_ms, uint32_t *length)
{
	uint16_t head;

	(void)ring_driver_kick(ring);
	return ring_driver_wait(ring, timeout_ms) && ring_driver_take(ring, &head, length);
}
