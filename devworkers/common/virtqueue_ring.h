/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split ring's memory layout (virtio 1.2, 2.7.5 to 2.7.8) and how this end reads and writes it:
 * every access to a field that the driver may change goes through these, once. Little endian, as
 * the machines that are supported. For the virtqueue's own sources and for tests.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_VIRTQUEUE_RING_H
#define BULKHEAD_DEVWORKERS_COMMON_VIRTQUEUE_RING_H

#include <stdint.h>

#define VRING_DESCRIPTOR_NEXT	  1U
#define VRING_DESCRIPTOR_WRITE	  2U
#define VRING_DESCRIPTOR_INDIRECT 4U

#define VRING_AVAILABLE_NO_INTERRUPT 1U
#define VRING_USED_NO_NOTIFY	     1U

#define VRING_DESCRIPTOR_ALIGN 16U
#define VRING_AVAILABLE_ALIGN  2U
#define VRING_USED_ALIGN       4U

struct vring_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct vring_used_element {
	uint32_t id, length;
};

struct vring_used {
	uint16_t flags, index;
	struct vring_used_element ring[];
	/* followed by uint16_t available_event */
};

/* The available ring as an array of 16-bit words. */
enum vring_available_word {
	VRING_AVAILABLE_FLAGS = 0,
	VRING_AVAILABLE_INDEX = 1,
	VRING_AVAILABLE_RING = 2, /* used_event follows the ring */
};

static inline uint64_t vring_descriptor_bytes(uint16_t size)
{
	return (uint64_t)size * sizeof(struct vring_descriptor);
}

static inline uint64_t vring_available_bytes(uint16_t size)
{
	return 6 + 2 * (uint64_t)size;
}

static inline uint64_t vring_used_bytes(uint16_t size)
{
	return 6 + sizeof(struct vring_used_element) * (uint64_t)size;
}

static inline uint16_t vring_load(const uint16_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void vring_store(uint16_t *word, uint16_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/*
 * Pairs with the driver's write barrier between filling the ring and moving the index (virtio 1.2,
 * 2.7.13.3): without it the ring entries that the index covers may be read from before they were
 * written.
 */
static inline uint16_t vring_load_available_index(const uint16_t *available)
{
	return __atomic_load_n(&available[VRING_AVAILABLE_INDEX], __ATOMIC_ACQUIRE);
}

/* The driver must not see the index before the elements (and the data) that it covers. */
static inline void vring_publish_used_index(struct vring_used *used, uint16_t index)
{
	__atomic_store_n(&used->index, index, __ATOMIC_RELEASE);
}

static inline uint16_t *vring_available_event(struct vring_used *used, uint16_t size)
{
	return (uint16_t *)(void *)&used->ring[size];
}

/* A copy of one descriptor, each field read once. Indirect tables need not be aligned. */
static inline struct vring_descriptor vring_read_descriptor(const void *table, uint32_t index)
{
	struct unaligned_word {
		uint64_t value;
	} __attribute__((packed));
	const volatile struct unaligned_word *words =
		(const struct unaligned_word *)table + (uint64_t)index * 2;
	struct vring_descriptor descriptor = {.address = words[0].value};
	uint64_t rest = words[1].value;

	descriptor.length = (uint32_t)rest;
	descriptor.flags = (uint16_t)(rest >> 32);
	descriptor.next = (uint16_t)(rest >> 48);
	return descriptor;
}

/* True when moving from old to new passes event (virtio 1.2, 2.7.10.2; 16-bit circular). */
static inline int vring_need_event(uint16_t event, uint16_t new_index, uint16_t old_index)
{
	return (uint16_t)(new_index - event - 1) < (uint16_t)(new_index - old_index);
}

#endif
