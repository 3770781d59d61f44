/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/core/platform/bus.h"

struct recorder {
	unsigned reads, writes;
	uint64_t offset;
	unsigned length_bytes;
	uint8_t last[8];
	uint8_t answer;
};

static void recorder_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	struct recorder *recorder = opaque;

	recorder->reads++;
	recorder->offset = offset;
	recorder->length_bytes = length_bytes;
	memset(data, recorder->answer, length_bytes);
}

static void recorder_write(void *opaque, uint64_t offset, const uint8_t *data,
			   unsigned length_bytes)
{
	struct recorder *recorder = opaque;

	recorder->writes++;
	recorder->offset = offset;
	recorder->length_bytes = length_bytes;
	memcpy(recorder->last, data, length_bytes);
}

static const struct bus_device_ops recorder_ops = {
	.name = "recorder",
	.read = recorder_read,
	.write = recorder_write,
};

static void an_access_reaches_the_device_of_its_range(void **state)
{
	struct recorder low = {.answer = 1}, high = {.answer = 2};
	struct bus *bus = bus_new("test");
	uint8_t data[8] = {7, 8};

	(void)state;
	assert_int_equal(bus_add(bus, 0x200, 0x10, &recorder_ops, &high, NULL), 0);
	assert_int_equal(bus_add(bus, 0x100, 0x10, &recorder_ops, &low, NULL), 0);
	assert_true(bus_write(bus, 0x10e, data, 2));
	assert_int_equal(low.offset, 0xe);
	assert_int_equal(low.length_bytes, 2);
	assert_memory_equal(low.last, data, 2);
	assert_true(bus_read(bus, 0x200, data, 8));
	assert_int_equal(high.offset, 0);
	assert_int_equal(data[7], 2);
	assert_int_equal(low.reads, 0);
	bus_destroy(bus);
}

static void a_read_that_nobody_claims_gives_all_ones(void **state)
{
	struct bus *bus = bus_new("test");
	uint8_t data[4] = {0};

	(void)state;
	assert_false(bus_read(bus, 0x80, data, 4));
	assert_int_equal(data[0] & data[1] & data[2] & data[3], 0xff);
	assert_false(bus_write(bus, 0x80, data, 4));
	bus_destroy(bus);
}

static void an_access_across_the_end_of_a_range_is_not_claimed(void **state)
{
	struct recorder recorder = {0};
	struct bus *bus = bus_new("test");
	uint8_t data[8];

	(void)state;
	assert_int_equal(bus_add(bus, 0x100, 0x10, &recorder_ops, &recorder, NULL), 0);
	assert_int_equal(bus_add(bus, 0x110, 0x10, &recorder_ops, &recorder, NULL), 0);
	assert_false(bus_read(bus, 0x10d, data, 4));
	assert_false(bus_read(bus, 0xff, data, 2));
	assert_false(bus_write(bus, 0x11f, data, 2));
	assert_int_equal(recorder.reads + recorder.writes, 0);
	bus_destroy(bus);
}

static void ranges_that_overlap_are_refused(void **state)
{
	struct recorder recorder = {0};
	struct bus *bus = bus_new("test");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(bus_add(bus, 0x100, 0x10, &recorder_ops, &recorder, NULL), 0);
	assert_int_equal(bus_add(bus, 0x10f, 1, &recorder_ops, &recorder, &err), -EEXIST);
	assert_non_null(strstr(err.message, "overlaps recorder"));
	assert_int_equal(bus_add(bus, 0x80, 0x100, &recorder_ops, &recorder, NULL), -EEXIST);
	assert_int_equal(bus_add(bus, 0x100, 0x10, &recorder_ops, &recorder, NULL), -EEXIST);
	assert_int_equal(bus_add(bus, 0xf0, 0x10, &recorder_ops, &recorder, NULL), 0);
	bus_destroy(bus);
}

static void empty_and_wrapping_ranges_are_refused(void **state)
{
	struct recorder recorder = {0};
	struct bus *bus = bus_new("test");
	uint8_t data[8];

	(void)state;
	assert_int_equal(bus_add(bus, 0x100, 0, &recorder_ops, &recorder, NULL), -EINVAL);
	assert_int_equal(bus_add(bus, UINT64_MAX, 2, &recorder_ops, &recorder, NULL), -EINVAL);
	assert_int_equal(bus_add(bus, UINT64_MAX - 3, 4, &recorder_ops, &recorder, NULL), 0);
	assert_true(bus_read(bus, UINT64_MAX - 3, data, 4));
	assert_false(bus_read(bus, UINT64_MAX - 1, data, 4));
	bus_destroy(bus);
}

static void a_removed_range_is_free_again(void **state)
{
	struct recorder recorder = {0};
	struct bus *bus = bus_new("test");
	uint8_t data[1];

	(void)state;
	assert_int_equal(bus_add(bus, 0x100, 0x10, &recorder_ops, &recorder, NULL), 0);
	assert_int_equal(bus_remove(bus, 0x101), -ENOENT);
	assert_int_equal(bus_remove(bus, 0x100), 0);
	assert_int_equal(bus_remove(bus, 0x100), -ENOENT);
	assert_false(bus_read(bus, 0x100, data, 1));
	assert_int_equal(bus_add(bus, 0x108, 0x10, &recorder_ops, &recorder, NULL), 0);
	bus_destroy(bus);
}

static void a_full_bus_refuses_more_ranges(void **state)
{
	struct recorder recorder = {0};
	struct bus *bus = bus_new("test");
	uint64_t base = 0;

	(void)state;
	while (base < 0x10000 && bus_add(bus, base, 1, &recorder_ops, &recorder, NULL) == 0)
		base++;
	assert_in_range(base, 64, 0xffff);
	assert_int_equal(bus_add(bus, base, 1, &recorder_ops, &recorder, NULL), -ENOSPC);
	bus_destroy(bus);
}

static void a_background_range_gets_what_lies_outside_of_those_in_front(void **state)
{
	struct recorder back = {.answer = 1}, front = {.answer = 2};
	struct bus *bus = bus_new("test");
	uint8_t data[4];

	(void)state;
	assert_int_equal(bus_add_background(bus, 0xcf8, 4, &recorder_ops, &back, NULL), 0);
	assert_int_equal(bus_add(bus, 0xcf9, 1, &recorder_ops, &front, NULL), 0);
	assert_true(bus_read(bus, 0xcf8, data, 4));
	assert_int_equal(data[1], 1);
	assert_true(bus_read(bus, 0xcf9, data, 1));
	assert_int_equal(data[0], 2);
	assert_true(bus_read(bus, 0xcf9, data, 2));
	assert_int_equal(data[0], 1);
	assert_int_equal(bus_remove(bus, 0xcf8), 0);
	assert_false(bus_read(bus, 0xcf8, data, 4));
	bus_destroy(bus);
}

struct mover {
	struct bus *bus;
	struct bus *other; /* an access is passed on to it */
	struct recorder recorder;
	unsigned moves;
};

static void mover_move(void *opaque)
{
	struct mover *mover = opaque;

	mover->moves++;
	(void)bus_remove(mover->bus, 0x900);
	(void)bus_add(mover->bus, 0x900, 4, &recorder_ops, &mover->recorder, NULL);
}

static void mover_write(void *opaque, uint64_t offset, const uint8_t *data, unsigned length_bytes)
{
	struct mover *mover = opaque;

	bus_defer(mover_move, mover);
	bus_defer(mover_move, mover);
	if (mover->other)
		(void)bus_write(mover->other, offset, data, length_bytes);
	assert_int_equal(mover->moves, 0);
}

static const struct bus_device_ops mover_ops = {
	.name = "mover",
	.read = recorder_read,
	.write = mover_write,
};

static void deferred_work_runs_once_after_the_handler_and_may_change_the_bus(void **state)
{
	struct mover mover = {.bus = bus_new("test")};
	uint8_t data[1] = {0};

	(void)state;
	assert_int_equal(bus_add(mover.bus, 0x100, 4, &mover_ops, &mover, NULL), 0);
	assert_true(bus_write(mover.bus, 0x100, data, 1));
	assert_int_equal(mover.moves, 1);
	assert_true(bus_read(mover.bus, 0x900, data, 1));
	assert_int_equal(mover.moves, 1);
	bus_destroy(mover.bus);
}

static void deferred_work_waits_for_the_outermost_access(void **state)
{
	struct recorder recorder = {0};
	struct mover mover = {.bus = bus_new("outer"), .other = bus_new("inner")};
	uint8_t data[1] = {0};

	(void)state;
	assert_int_equal(bus_add(mover.bus, 0x100, 4, &mover_ops, &mover, NULL), 0);
	assert_int_equal(bus_add(mover.other, 0, 4, &recorder_ops, &recorder, NULL), 0);
	assert_true(bus_write(mover.bus, 0x100, data, 1));
	assert_int_equal(recorder.writes, 1);
	assert_int_equal(mover.moves, 1);
	bus_destroy(mover.bus);
	bus_destroy(mover.other);
}

static void work_deferred_outside_of_a_handler_runs_at_once(void **state)
{
	struct mover mover = {.bus = bus_new("test")};

	(void)state;
	bus_defer(mover_move, &mover);
	assert_int_equal(mover.moves, 1);
	bus_destroy(mover.bus);
}

static void *hammer(void *opaque)
{
	struct bus *bus = opaque;
	uint8_t data[4];
	unsigned long claimed = 0;

	for (unsigned i = 0; i < 20000; i++)
		claimed += bus_read(bus, 0x900, data, 4);
	return (void *)claimed; /* not to be optimised away */
}

static void ranges_move_while_other_threads_access_the_bus(void **state)
{
	struct mover mover = {.bus = bus_new("test")};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, hammer, mover.bus), 0);
	for (unsigned i = 0; i < 2000; i++)
		mover_move(&mover);
	assert_int_equal(pthread_join(thread, NULL), 0);
	bus_destroy(mover.bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_access_reaches_the_device_of_its_range),
		cmocka_unit_test(a_read_that_nobody_claims_gives_all_ones),
		cmocka_unit_test(an_access_across_the_end_of_a_range_is_not_claimed),
		cmocka_unit_test(ranges_that_overlap_are_refused),
		cmocka_unit_test(empty_and_wrapping_ranges_are_refused),
		cmocka_unit_test(a_removed_range_is_free_again),
		cmocka_unit_test(a_full_bus_refuses_more_ranges),
		cmocka_unit_test(a_background_range_gets_what_lies_outside_of_those_in_front),
		cmocka_unit_test(deferred_work_runs_once_after_the_handler_and_may_change_the_bus),
		cmocka_unit_test(deferred_work_waits_for_the_outermost_access),
		cmocka_unit_test(work_deferred_outside_of_a_handler_runs_at_once),
		cmocka_unit_test(ranges_move_while_other_threads_access_the_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
