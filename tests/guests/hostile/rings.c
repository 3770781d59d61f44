/* SPDX-License-Identifier: Apache-2.0 */
/* mode=rings: puts malformed rings in front of the devices. */
#include "rings.h"

#include <stddef.h>

#include "clock.h"
#include "cmdline.h"
#include "cpu.h"
#include "guest.h"
#include "hostile.h"
#include "mmio.h"
#include "print.h"
#include "string.h"

/* Places in the arena, a page each. */
#define DESC_GPA      (ARENA_GPA + 0x0000)
#define TABLE_GPA     (ARENA_GPA + 0x1000)
#define AVAILABLE_GPA (ARENA_GPA + 0x2000)
#define USED_GPA      (ARENA_GPA + 0x3000)
#define DATA_GPA      (ARENA_GPA + 0x4000)
#define PAGES_BYTES   0x5000

enum ring_outcome {
	OUTCOME_USED,	     /* the device completed something */
	OUTCOME_NEEDS_RESET, /* the device gave up and said so */
	OUTCOME_SILENT,	     /* nothing within the time allowed */
	OUTCOME_REFUSED,     /* the device could not even be started */
	OUTCOME_COUNT,
};

static const char *const outcome_names[OUTCOME_COUNT] = {"used", "needs-reset", "silent",
							 "refused"};

static void ring_build(struct hostile_ring *ring)
{
	memset((void *)(uintptr_t)ARENA_GPA, 0, PAGES_BYTES);
	*ring = (struct hostile_ring){
		.descriptors = (struct virtq_desc *)DESC_GPA,
		.table = (struct virtq_desc *)TABLE_GPA,
		.available = (volatile struct virtq_available *)AVAILABLE_GPA,
		.used = (volatile struct virtq_used *)USED_GPA,
		.data_gpa = DATA_GPA + 0x100,
		.size = RING_SIZE,
		.desc_gpa = DESC_GPA,
		.available_gpa = AVAILABLE_GPA,
		.used_gpa = USED_GPA,
	};
	/* A header of zeros is a block read of sector 0. */
	ring->descriptors[0] = (struct virtq_desc){DATA_GPA, 16, VIRTQ_DESC_NEXT, 1};
	ring->descriptors[1] =
		(struct virtq_desc){DATA_GPA + 0x100, 512, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 2};
	ring->descriptors[2] = (struct virtq_desc){DATA_GPA + 0x800, 1, VIRTQ_DESC_WRITE, 0};
	ring->available->index = 1;
}

static void ring_program_queue(struct virtio_device *device, uint16_t index,
			       const struct hostile_ring *ring)
{
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SELECT, index);
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SIZE, ring->size);
	virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DESC, ring->desc_gpa);
	virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DRIVER, ring->available_gpa);
	virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DEVICE, ring->used_gpa);
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_ENABLE, 1);
}

static void ring_notify(const struct virtio_device *device, uint16_t index)
{
	uint64_t offset = virtio_common_read16(device, VIRTIO_COMMON_QUEUE_NOTIFY_OFF);

	mmio_write16(device->notify_gpa + offset * device->notify_multiplier, index);
}

static enum ring_outcome ring_await(const struct virtio_device *device,
				    const struct hostile_ring *ring, uint64_t wait_us)
{
	uint64_t end = clock_now_us() + wait_us;

	do {
		if (virtio_read_status(device) & VIRTIO_NEEDS_RESET)
			return OUTCOME_NEEDS_RESET;
		if (ring->used->index != 0)
			return OUTCOME_USED;
		cpu_relax();
	} while (clock_now_us() < end);
	return OUTCOME_SILENT;
}

static enum ring_outcome ring_try(struct virtio_device *device, uint16_t index,
				  const struct ring_case *ring_case, uint64_t wait_us)
{
	struct hostile_ring ring;
	uint64_t features = random_u64() & (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);

	if (virtio_begin(device, features) != NULL)
		return OUTCOME_REFUSED;
	ring_build(&ring);
	ring_case->apply(&ring);
	ring_program_queue(device, index, &ring);
	virtio_finish(device);
	ring_notify(device, index);
	if (random_one_in(4)) {
		/* Move the ring of a running queue, and say that there is more to do. */
		ring.desc_gpa = random_gpa();
		ring_program_queue(device, index, &ring);
		ring_notify(device, index);
	}
	return ring_await(device, &ring, wait_us);
}

void rings_run(struct hostile *hostile, uint64_t ops)
{
	uint64_t wait_us = cmdline_number("wait_us", 20000);
	uint64_t systematic = (uint64_t)hostile->device_count * ring_case_count;
	uint32_t outcomes[OUTCOME_COUNT] = {0};

	for (uint64_t i = 0; i < ops && hostile->device_count > 0; i++) {
		const struct ring_case *ring_case = &ring_cases[i % ring_case_count];
		struct virtio_device *device =
			&hostile->devices[i / ring_case_count % hostile->device_count];
		uint16_t index = 0;
		enum ring_outcome outcome;

		if (i >= systematic) {
			ring_case = &ring_cases[random_below(ring_case_count)];
			device = &hostile->devices[random_below(hostile->device_count)];
			index = (uint16_t)random_below(virtio_queue_count(device));
		} else if (device->type == VIRTIO_CONSOLE) {
			index = 1; /* the queue that the device takes chains from at once */
		}
		if (hostile->trace)
			print("RING op=%lu slot %u queue %u %s: ", i, device->pci->slot, index,
			      ring_case->name);
		outcome = ring_try(device, index, ring_case, wait_us);
		outcomes[outcome]++;
		if (hostile->trace)
			print("%s\n", outcome_names[outcome]);
	}
	for (uint32_t i = 0; i < hostile->device_count; i++)
		test_check("device_resets_after_bad_rings", virtio_reset(&hostile->devices[i]),
			   "device_status did not become 0");
	print("RINGS used=%u needs-reset=%u silent=%u refused=%u\n", outcomes[OUTCOME_USED],
	      outcomes[OUTCOME_NEEDS_RESET], outcomes[OUTCOME_SILENT], outcomes[OUTCOME_REFUSED]);
}
