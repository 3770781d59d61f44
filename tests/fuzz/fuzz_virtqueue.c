/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: a hostile driver against the device side of a virtqueue.
 *
 * The first bytes choose features and ring addresses; the rest is a program: write these bytes to
 * guest memory, pop, push, un-pop, notify, ask for kicks, restart from the in-flight log. Guest
 * memory is two heap blocks, so that AddressSanitizer sees every access outside; what a popped
 * chain claims is checked here.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devworkers/common/virtqueue.h"
#include "tests/devworkers/common/guest_ram.h"

#define REGION_BYTES 8192U
#define UPPER_GPA    0x4000U
#define MAX_RING     16U

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *bytes;
	size_t left;
};

struct fuzz {
	struct guest_memory memory;
	struct virtqueue queue;
	struct virtqueue_config config;
	struct inflight_log *log;
	struct iovec segments[MAX_RING];
	uint16_t popped[MAX_RING]; /* heads in flight, oldest first */
	unsigned popped_count;
};

static uint16_t take(struct input *input)
{
	uint16_t value = 0;

	for (unsigned i = 0; i < 2 && input->left > 0; i++, input->left--)
		value = (uint16_t)(value << 8 | *input->bytes++);
	return value;
}

static void init_memory(struct guest_memory *memory)
{
	static const uint64_t bases[] = {0, UPPER_GPA};

	for (unsigned i = 0; i < 2; i++) {
		memory->regions[i] = (struct guest_memory_region){
			.gpa = bases[i],
			.size_bytes = REGION_BYTES,
			.hva = calloc(1, REGION_BYTES),
			.fd = -1,
			.first_page = i * 8,
		};
		REQUIRE(memory->regions[i].hva);
	}
	memory->region_count = 2;
}

static void write_memory(struct fuzz *fuzz, struct input *input)
{
	uint64_t gpa = take(input) % 0x6000;
	size_t length = take(input) % 64 + 1;
	uint8_t *hva = guest_memory_translate(&fuzz->memory, gpa, length);

	if (length > input->left)
		length = input->left;
	if (hva)
		memcpy(hva, input->bytes, length);
	input->bytes += length;
	input->left -= length;
}

static void check_segments(const struct fuzz *fuzz, const struct iovec *segments, unsigned count,
			   uint64_t expected_bytes)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++) {
		bool inside = false;

		for (unsigned j = 0; j < 2; j++) {
			const struct guest_memory_region *region = &fuzz->memory.regions[j];
			uint64_t offset = (uint64_t)((uintptr_t)segments[i].iov_base -
						     (uintptr_t)region->hva);

			inside |= offset < region->size_bytes &&
				  segments[i].iov_len <= region->size_bytes - offset;
		}
		REQUIRE(inside && segments[i].iov_len > 0);
		sum += segments[i].iov_len;
	}
	REQUIRE(sum == expected_bytes && sum <= UINT32_MAX);
}

static void pop(struct fuzz *fuzz)
{
	struct virtqueue_chain chain = {.segments = fuzz->segments, .segment_capacity = MAX_RING};
	struct error err = ERROR_INIT;
	bool was_broken = fuzz->queue.broken;
	int ret = virtqueue_pop(&fuzz->queue, &chain, &err);

	REQUIRE(!was_broken || ret == 0);
	if (ret < 0)
		REQUIRE(err.code == ret && fuzz->queue.broken && err.message[0] != '\0');
	if (ret <= 0)
		return;
	REQUIRE(chain.head < fuzz->config.size && fuzz->popped_count < fuzz->config.size);
	REQUIRE(chain.readable_count + chain.writable_count >= 1);
	REQUIRE(chain.readable_count + chain.writable_count <= fuzz->config.size);
	check_segments(fuzz, chain.readable, chain.readable_count, chain.readable_bytes);
	check_segments(fuzz, chain.writable, chain.writable_count, chain.writable_bytes);
	for (unsigned i = 0; i < fuzz->popped_count; i++)
		REQUIRE(fuzz->popped[i] != chain.head);
	fuzz->popped[fuzz->popped_count++] = chain.head;
	virtqueue_chain_mark_dirty(&fuzz->queue, &chain, chain.writable_bytes);
}

static void push(struct fuzz *fuzz, unsigned which, bool deferred)
{
	uint16_t head;

	if (fuzz->popped_count == 0)
		return;
	which %= fuzz->popped_count;
	head = fuzz->popped[which];
	fuzz->popped[which] = fuzz->popped[--fuzz->popped_count];
	if (deferred)
		virtqueue_push_deferred(&fuzz->queue, head, which);
	else
		virtqueue_push(&fuzz->queue, head, which);
}

static int start(struct fuzz *fuzz)
{
	struct error err = ERROR_INIT;

	fuzz->popped_count = 0;
	return virtqueue_start(&fuzz->queue, &fuzz->config, &fuzz->memory,
			       fuzz->log ? inflight_log_queue(fuzz->log, 0) : NULL, -1, -1, &err);
}

/* The order of popped[] is lost by push: only a chain that is surely the last may be un-popped. */
static void unpop_last(struct fuzz *fuzz)
{
	uint16_t head;

	pop(fuzz);
	if (fuzz->popped_count == 0 || fuzz->queue.broken)
		return;
	head = fuzz->popped[fuzz->popped_count - 1];
	if (fuzz->queue.in_flight == 1) {
		fuzz->popped_count--;
		virtqueue_unpop(&fuzz->queue, head);
	}
}

static void step(struct fuzz *fuzz, struct input *input)
{
	uint16_t operation = take(input);

	switch (operation % 8) {
	case 0:
	case 1:
		write_memory(fuzz, input);
		break;
	case 2:
		pop(fuzz);
		break;
	case 3:
		push(fuzz, operation >> 8, operation & 8);
		break;
	case 4:
		virtqueue_notify(&fuzz->queue);
		break;
	case 5:
		(void)virtqueue_enable_kicks(&fuzz->queue, operation & 8);
		break;
	case 6:
		unpop_last(fuzz);
		break;
	default:
		if (fuzz->log && start(fuzz) < 0)
			abort();
	}
	REQUIRE(fuzz->queue.in_flight == fuzz->popped_count);
}

static void configure(struct fuzz *fuzz, struct input *input)
{
	uint16_t flags = take(input);
	bool zero_addresses = flags & 8;

	fuzz->config = (struct virtqueue_config){
		.size = (uint16_t)(flags & 4 ? flags >> 8 : 2U << (flags >> 8 & 3)),
		.event_idx = flags & 1,
		.indirect = flags & 2,
		.descriptor_area = zero_addresses ? 0 : take(input),
		.driver_area = zero_addresses ? 0x800 : take(input),
		.device_area = zero_addresses ? 0x1000 : take(input),
	};
	if (flags & 16) {
		int fd = guest_ram_log_file(inflight_log_bytes(1, MAX_RING));
		struct error err = ERROR_INIT;

		fuzz->log = inflight_log_open(fd, 1, MAX_RING, &err);
		close(fd);
		REQUIRE(fuzz->log);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *fuzz = calloc(1, sizeof(*fuzz));
	struct input input = {data, size};

	REQUIRE(fuzz);
	init_memory(&fuzz->memory);
	fuzz->memory.dirty_bitmap = calloc(1, 64);
	configure(fuzz, &input);
	if (fuzz->config.size <= MAX_RING && start(fuzz) == 0)
		while (input.left > 0)
			step(fuzz, &input);
	virtqueue_stop(&fuzz->queue);
	inflight_log_close(fuzz->log);
	free(fuzz->memory.dirty_bitmap);
	for (unsigned i = 0; i < 2; i++)
		free(fuzz->memory.regions[i].hva);
	free(fuzz);
	return 0;
}
