/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/devworkers/common/virtqueue_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void add_region(struct virtqueue_pair *pair, const struct guest_ram *ram)
{
	struct error err = ERROR_INIT;
	int fd = fcntl(ram->fd, F_DUPFD_CLOEXEC, 0);

	if (guest_memory_add_region(&pair->memory, ram->gpa, ram->size_bytes, fd, 0, &err) < 0)
		fail_msg("%s", err.message);
}

int virtqueue_pair_init(void **state)
{
	struct virtqueue_pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	guest_ram_init(&pair->ram, 0, PAIR_REGION_BYTES);
	guest_ram_init(&pair->upper, PAIR_REGION_BYTES, PAIR_REGION_BYTES);
	add_region(pair, &pair->ram);
	add_region(pair, &pair->upper);
	ring_driver_init(&pair->ring, &pair->ram, 0, PAIR_RING_SIZE, false);
	pair->buffer = guest_ram_allocate(&pair->ram, 16 * 4096, 4096);
	pair->config = (struct virtqueue_config){
		.size = PAIR_RING_SIZE,
		.descriptor_area = pair->ring.descriptor_area,
		.driver_area = pair->ring.driver_area,
		.device_area = pair->ring.device_area,
	};
	pair->chain.segments = pair->segments;
	pair->chain.segment_capacity = 64;
	*state = pair;
	return 0;
}

int virtqueue_pair_destroy(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_stop(&pair->queue);
	ring_driver_destroy(&pair->ring);
	guest_memory_destroy(&pair->memory);
	guest_ram_destroy(&pair->ram);
	guest_ram_destroy(&pair->upper);
	free(pair);
	return 0;
}

int virtqueue_pair_start(struct virtqueue_pair *pair, struct inflight_queue *inflight)
{
	struct error err = ERROR_INIT;
	int kick_fd = fcntl(pair->ring.kick_fd, F_DUPFD_CLOEXEC, 0);
	int call_fd = fcntl(pair->ring.call_fd, F_DUPFD_CLOEXEC, 0);
	int ret;

	virtqueue_stop(&pair->queue);
	pair->ring.event_idx = pair->config.event_idx;
	ret = virtqueue_start(&pair->queue, &pair->config, &pair->memory, inflight, kick_fd,
			      call_fd, &err);
	if (ret < 0) {
		close(kick_fd);
		close(call_fd);
	}
	return ret;
}

static int init_started(void **state, bool event_idx, bool indirect)
{
	struct virtqueue_pair *pair;

	(void)virtqueue_pair_init(state);
	pair = *state;
	pair->config.event_idx = event_idx;
	pair->config.indirect = indirect;
	return virtqueue_pair_start(pair, NULL);
}

int virtqueue_pair_init_plain(void **state)
{
	return init_started(state, false, false);
}

int virtqueue_pair_init_event_idx(void **state)
{
	return init_started(state, true, false);
}

int virtqueue_pair_init_indirect(void **state)
{
	return init_started(state, false, true);
}

int virtqueue_pair_add(struct virtqueue_pair *pair, unsigned count, unsigned writable)
{
	struct ring_segment segments[PAIR_RING_SIZE];

	assert_true(count <= PAIR_RING_SIZE && writable <= count);
	for (unsigned i = 0; i < count; i++)
		segments[i] =
			(struct ring_segment){pair->buffer + i * 4096, 16, i >= count - writable};
	return ring_driver_add(&pair->ring, segments, count);
}

void virtqueue_pair_set(struct virtqueue_pair *pair, uint16_t index, uint64_t address,
			uint32_t length, uint16_t flags, uint16_t next)
{
	pair->ring.descriptors[index] = (struct vring_descriptor){address, length, flags, next};
}

void virtqueue_pair_expect_broken(struct virtqueue_pair *pair, const char *text)
{
	struct error err = ERROR_INIT;
	uint16_t in_flight = pair->queue.in_flight;

	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), -EPROTO);
	if (!strstr(err.message, text))
		fail_msg("\"%s\" does not say \"%s\"", err.message, text);
	assert_true(pair->queue.broken);
	assert_int_equal(pair->queue.in_flight, in_flight);
	/* Reported once: afterwards the queue is silent, and asks for no kicks. */
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 0);
	assert_false(virtqueue_enable_kicks(&pair->queue, true));
}
