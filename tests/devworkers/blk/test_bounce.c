/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "devworkers/blk/bounce.h"

#define BLOCK	    64U
#define BUFFER	    (4 * BLOCK)
#define IMAGE_BYTES (32 * BLOCK)

/* An image in memory and the I/O that a bounce asks for done on it. */
struct world {
	uint8_t image[IMAGE_BYTES], before[IMAGE_BYTES];
	uint8_t buffer[BUFFER];
	uint8_t guest[IMAGE_BYTES];
	struct iovec segments[3];
	struct bounce bounce;
	unsigned reads, writes;
};

static void prepare(struct world *world)
{
	memset(world, 0, sizeof(*world));
	for (unsigned i = 0; i < IMAGE_BYTES; i++) {
		world->image[i] = world->before[i] = (uint8_t)(i * 7 + 1);
		world->guest[i] = (uint8_t)(i * 3 + 128);
	}
	world->bounce = (struct bounce){
		.buffer = world->buffer, .buffer_bytes = BUFFER, .alignment_bytes = BLOCK};
}

static int run(struct world *world)
{
	struct bounce_io io;

	while (bounce_next(&world->bounce, &io)) {
		int status;

		assert_int_equal(io.offset_bytes % BLOCK, 0);
		assert_int_equal(io.segment.iov_len % BLOCK, 0);
		assert_true(io.offset_bytes + io.segment.iov_len <= IMAGE_BYTES);
		if (io.write) {
			memcpy(world->image + io.offset_bytes, io.segment.iov_base,
			       io.segment.iov_len);
			world->writes++;
		} else {
			memcpy(io.segment.iov_base, world->image + io.offset_bytes,
			       io.segment.iov_len);
			world->reads++;
		}
		status = bounce_done(&world->bounce, (int64_t)io.segment.iov_len);
		if (status)
			return status;
	}
	return 0;
}

/* The guest's buffer in three uneven parts. */
static unsigned split(struct world *world, size_t length)
{
	size_t first = length / 3, second = length / 2 - first;

	world->segments[0] = (struct iovec){world->guest, first};
	world->segments[1] = (struct iovec){world->guest + first, second};
	world->segments[2] = (struct iovec){world->guest + first + second, length - first - second};
	return 3;
}

static void every_read_range_arrives(void **state)
{
	struct world world;

	(void)state;
	for (size_t offset = 0; offset < 2 * BLOCK; offset += 5)
		for (size_t length = 1; length < 12 * BLOCK; length += 37) {
			prepare(&world);
			bounce_begin(&world.bounce, BOUNCE_READ, offset, length, world.segments,
				     split(&world, length));
			assert_int_equal(run(&world), 0);
			assert_memory_equal(world.guest, world.before + offset, length);
			assert_int_equal(world.writes, 0);
		}
}

static void every_write_range_changes_nothing_else(void **state)
{
	struct world world;

	(void)state;
	for (size_t offset = 0; offset < 2 * BLOCK; offset += 5)
		for (size_t length = 1; length < 12 * BLOCK; length += 37) {
			prepare(&world);
			bounce_begin(&world.bounce, BOUNCE_WRITE, offset, length, world.segments,
				     split(&world, length));
			assert_int_equal(run(&world), 0);
			assert_memory_equal(world.image, world.before, offset);
			assert_memory_equal(world.image + offset, world.guest, length);
			assert_memory_equal(world.image + offset + length,
					    world.before + offset + length,
					    IMAGE_BYTES - offset - length);
		}
}

static void zeroes_are_written_without_a_guest_buffer(void **state)
{
	static const uint8_t zeroes[5 * BLOCK];
	struct world world;

	(void)state;
	prepare(&world);
	bounce_begin(&world.bounce, BOUNCE_WRITE_ZEROES, 3, 5 * BLOCK, NULL, 0);
	assert_int_equal(run(&world), 0);
	assert_memory_equal(world.image, world.before, 3);
	assert_memory_equal(world.image + 3, zeroes, sizeof(zeroes));
	assert_int_equal(world.image[3 + 5 * BLOCK], world.before[3 + 5 * BLOCK]);
}

static void whole_blocks_are_written_without_reading(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	bounce_begin(&world.bounce, BOUNCE_WRITE, BLOCK, 6 * BLOCK, world.segments,
		     split(&world, 6 * BLOCK));
	assert_int_equal(run(&world), 0);
	assert_int_equal(world.reads, 0);
	assert_int_equal(world.writes, 2);
}

static void short_transfer_is_an_error(void **state)
{
	struct world world;
	struct bounce_io io;

	(void)state;
	prepare(&world);
	bounce_begin(&world.bounce, BOUNCE_READ, 0, BLOCK, world.segments, split(&world, BLOCK));
	assert_true(bounce_next(&world.bounce, &io));
	assert_int_equal(bounce_done(&world.bounce, BLOCK - 1), -EIO);
	assert_int_equal(bounce_done(&world.bounce, 0), -EIO);
	assert_int_equal(bounce_done(&world.bounce, -EIO), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_read_range_arrives),
		cmocka_unit_test(every_write_range_changes_nothing_else),
		cmocka_unit_test(zeroes_are_written_without_a_guest_buffer),
		cmocka_unit_test(whole_blocks_are_written_without_reading),
		cmocka_unit_test(short_transfer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
