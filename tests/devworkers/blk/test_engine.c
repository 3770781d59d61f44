/* SPDX-License-Identifier: Apache-2.0 */
/* Both engines do the same; each test runs with each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "devworkers/blk/engine.h"
#include "ipc/cleanup.h"
#include "tests/devworkers/blk/temporary_image.h"

#define BLOCK 4096U

struct world {
	struct engine *engine;
	int fd;
	unsigned done;
	struct engine_io *last;
};

static void on_done(void *opaque, struct engine_io *io)
{
	struct world *world = opaque;

	world->done++;
	world->last = io;
}

static int set_up(struct world *world, struct engine *engine)
{
	struct error err = ERROR_INIT;

	world->engine = engine;
	world->fd = temporary_image(64 * BLOCK, 0);
	if (!engine || world->fd < 0)
		return -1;
	engine_set_done(engine, on_done, world);
	return engine_set_file(engine, world->fd, &err);
}

static int set_up_uring(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct error err = ERROR_INIT;
	struct engine *engine = engine_uring_new(&err);

	*state = world;
	if (!engine) {
		print_message("skip: %s\n", err.message);
		return 0;
	}
	return set_up(world, engine);
}

static int set_up_threads(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct error err = ERROR_INIT;

	*state = world;
	return set_up(world, engine_threads_new(&err));
}

static int tear_down(void **state)
{
	struct world *world = *state;

	engine_destroy(world->engine);
	if (world->engine)
		close(world->fd);
	free(world);
	return 0;
}

static struct world *world_of(void **state)
{
	struct world *world = *state;

	if (!world->engine)
		skip();
	return world;
}

static void wait_for(struct world *world, unsigned done)
{
	while (world->done < done) {
		engine_flush(world->engine);
		if (engine_reap(world->engine) == 0)
			assert_int_equal(engine_wait(world->engine), 0);
	}
}

static int64_t run(struct world *world, struct engine_io *io)
{
	unsigned before = world->done;

	engine_queue(world->engine, io);
	wait_for(world, before + 1);
	assert_ptr_equal(world->last, io);
	return io->result;
}

static void written_data_is_read_back(void **state)
{
	struct world *world = world_of(state);
	uint8_t out[BLOCK], in[BLOCK];
	struct iovec parts[2] = {{out, 1000}, {out + 1000, BLOCK - 1000}};
	struct iovec whole = {in, BLOCK};
	struct engine_io write = {
		.kind = ENGINE_WRITE, .offset_bytes = BLOCK, .segments = parts, .segment_count = 2};
	struct engine_io read = {
		.kind = ENGINE_READ, .offset_bytes = BLOCK, .segments = &whole, .segment_count = 1};

	memset(out, 0x5a, sizeof(out));
	memset(in, 0, sizeof(in));
	assert_int_equal(run(world, &write), BLOCK);
	assert_int_equal(run(world, &read), BLOCK);
	assert_memory_equal(in, out, BLOCK);
}

static void stable_write_and_sync_succeed(void **state)
{
	struct world *world = world_of(state);
	uint8_t out[512] = {1};
	struct iovec whole = {out, sizeof(out)};
	struct engine_io write = {
		.kind = ENGINE_WRITE_STABLE, .segments = &whole, .segment_count = 1};
	struct engine_io sync = {.kind = ENGINE_SYNC};

	assert_int_equal(run(world, &write), 512);
	assert_int_equal(run(world, &sync), 0);
}

static void punched_and_zeroed_ranges_read_as_zeroes(void **state)
{
	static const uint8_t zeroes[BLOCK];
	struct world *world = world_of(state);
	uint8_t data[3 * BLOCK];
	struct iovec whole = {data, sizeof(data)};
	struct engine_io write = {.kind = ENGINE_WRITE, .segments = &whole, .segment_count = 1};
	struct engine_io read = {.kind = ENGINE_READ, .segments = &whole, .segment_count = 1};
	struct engine_io punch = {.kind = ENGINE_PUNCH, .offset_bytes = 0, .length_bytes = BLOCK};
	struct engine_io zero = {
		.kind = ENGINE_ZERO, .offset_bytes = 2 * BLOCK, .length_bytes = BLOCK};
	int64_t zeroed;

	memset(data, 0x77, sizeof(data));
	assert_int_equal(run(world, &write), sizeof(data));
	assert_int_equal(run(world, &punch), 0);
	zeroed = run(world, &zero);
	assert_true(zeroed == 0 || zeroed == -EOPNOTSUPP);
	assert_int_equal(run(world, &read), sizeof(data));
	assert_memory_equal(data, zeroes, BLOCK);
	assert_int_equal(data[BLOCK], 0x77);
	if (zeroed == 0)
		assert_memory_equal(data + 2 * BLOCK, zeroes, BLOCK);
}

static void errors_come_back_as_negative_errno(void **state)
{
	struct world *world = world_of(state);
	struct iovec bad = {(void *)8, 512};
	struct engine_io read = {.kind = ENGINE_READ, .segments = &bad, .segment_count = 1};
	struct engine_io past = {
		.kind = ENGINE_READ, .offset_bytes = 1 << 30, .segments = &bad, .segment_count = 1};

	/* A hole is read by writing zeroes to the buffer, which is not there. */
	assert_int_equal(run(world, &read), -EFAULT);
	assert_int_equal(run(world, &past), 0);
}

static void full_load_ends_every_io_once(void **state)
{
	static uint8_t buffers[ENGINE_MAX_IN_FLIGHT][512];
	static struct iovec parts[ENGINE_MAX_IN_FLIGHT];
	static struct engine_io ios[ENGINE_MAX_IN_FLIGHT];
	struct world *world = world_of(state);

	for (unsigned round = 0; round < 3; round++) {
		world->done = 0;
		for (unsigned i = 0; i < ENGINE_MAX_IN_FLIGHT; i++) {
			parts[i] = (struct iovec){buffers[i], 512};
			ios[i] = (struct engine_io){
				.kind = i % 2 ? ENGINE_READ : ENGINE_WRITE,
				.offset_bytes = (uint64_t)i * 512,
				.segments = &parts[i],
				.segment_count = 1,
			};
			engine_queue(world->engine, &ios[i]);
		}
		wait_for(world, ENGINE_MAX_IN_FLIGHT);
		assert_int_equal(world->engine->in_flight, 0);
		for (unsigned i = 0; i < ENGINE_MAX_IN_FLIGHT; i++)
			assert_int_equal(ios[i].result, 512);
	}
}

static void event_fd_becomes_readable(void **state)
{
	struct world *world = world_of(state);
	struct pollfd ready = {.fd = world->engine->event_fd, .events = POLLIN};
	struct engine_io sync = {.kind = ENGINE_SYNC};

	engine_queue(world->engine, &sync);
	engine_flush(world->engine);
	if (!engine_arm(world->engine))
		assert_int_equal(poll(&ready, 1, 5000), 1);
	wait_for(world, 1);
}

static void waiting_for_nothing_is_an_error(void **state)
{
	struct world *world = world_of(state);

	assert_int_equal(engine_wait(world->engine), -EINVAL);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, set_up_uring, tear_down),                            \
		cmocka_unit_test_setup_teardown(test, set_up_threads, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(written_data_is_read_back),
		BOTH(stable_write_and_sync_succeed),
		BOTH(punched_and_zeroed_ranges_read_as_zeroes),
		BOTH(errors_come_back_as_negative_errno),
		BOTH(full_load_ends_every_io_once),
		BOTH(event_fd_becomes_readable),
		BOTH(waiting_for_nothing_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
