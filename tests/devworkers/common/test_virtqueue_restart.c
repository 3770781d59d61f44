/* SPDX-License-Identifier: Apache-2.0 */
/* A virtqueue that goes on: from an in-flight log after a crash, from saved indices. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/devworkers/common/virtqueue_pair.h"

static void complete_one(struct virtqueue_pair *pair)
{
	struct error err = ERROR_INIT;

	assert_true(virtqueue_pair_add(pair, 1, 1) >= 0);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	virtqueue_push(&pair->queue, pair->chain.head, 0);
	virtqueue_notify(&pair->queue);
}

struct log_pair {
	int fd;
	struct inflight_log *log;
};

static struct log_pair open_log(int fd)
{
	struct error err = ERROR_INIT;
	struct log_pair pair = {fd >= 0 ? fd : guest_ram_log_file(inflight_log_bytes(1, 16)), NULL};

	pair.log = inflight_log_open(pair.fd, 1, 16, &err);
	if (!pair.log)
		fail_msg("%s", err.message);
	return pair;
}

static void a_restarted_worker_does_what_was_not_completed_first_and_nothing_twice(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct log_pair log = open_log(-1);
	struct error err = ERROR_INIT;
	int heads[5];

	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	for (unsigned i = 0; i < 5; i++)
		heads[i] = virtqueue_pair_add(pair, 1, 1);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	virtqueue_push(&pair->queue, (uint16_t)heads[1], 0);
	/* Here it dies: 0, 2, 3 are in flight, 4 was never popped. */
	inflight_log_close(log.log);
	log = open_log(log.fd);
	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	for (unsigned i = 0; i < 5; i++) {
		if (i == 1)
			continue;
		assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
		assert_int_equal(pair->chain.head, heads[i]);
		virtqueue_push(&pair->queue, pair->chain.head, 0);
	}
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 0);
	assert_int_equal(pair->ring.used->index, 5);
	virtqueue_stop(&pair->queue);
	inflight_log_close(log.log);
	close(log.fd);
}

static void a_restarted_idle_queue_goes_on_where_it_was(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct log_pair log = open_log(-1);
	struct error err = ERROR_INIT;

	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	for (unsigned i = 0; i < 3; i++)
		complete_one(pair);
	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	assert_true(virtqueue_pair_add(pair, 1, 1) >= 0);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_int_equal(pair->queue.next_available, 4);
	virtqueue_stop(&pair->queue);
	inflight_log_close(log.log);
	close(log.fd);
}

static uint16_t pop_head(struct virtqueue_pair *pair)
{
	struct error err = ERROR_INIT;

	if (virtqueue_pop(&pair->queue, &pair->chain, &err) != 1)
		fail_msg("nothing to pop: %s", err.message);
	return pair->chain.head;
}

static void replayed_chains_can_be_unpopped(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct log_pair log = open_log(-1);
	uint16_t first, second, third, fourth;

	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	for (unsigned i = 0; i < 4; i++)
		(void)virtqueue_pair_add(pair, 1, 1);
	first = pop_head(pair);
	second = pop_head(pair);
	third = pop_head(pair);
	/* The second is done: what is left is not what the ring has at these places. */
	virtqueue_push(&pair->queue, second, 0);
	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	assert_int_equal(pop_head(pair), first);
	assert_int_equal(pop_head(pair), third);
	fourth = pop_head(pair);
	virtqueue_unpop(&pair->queue, fourth);
	virtqueue_unpop(&pair->queue, third);
	virtqueue_unpop(&pair->queue, first);
	/* Still logged: another restart finds the same. */
	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	assert_int_equal(pop_head(pair), first);
	assert_int_equal(pop_head(pair), third);
	assert_int_equal(pop_head(pair), fourth);
	virtqueue_stop(&pair->queue);
	inflight_log_close(log.log);
	close(log.fd);
}

static void completions_long_ago_are_not_done_again(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct log_pair log = open_log(-1);
	struct error err = ERROR_INIT;
	uint16_t head;

	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	(void)virtqueue_pair_add(pair, 1, 1);
	(void)virtqueue_pair_add(pair, 1, 1);
	virtqueue_push(&pair->queue, pop_head(pair), 0); /* this head is not used again */
	virtqueue_push(&pair->queue, pop_head(pair), 0);
	assert_true(ring_driver_take(&pair->ring, &head, NULL));
	for (unsigned i = 0; i < 40000; i++) {
		assert_true(ring_driver_take(&pair->ring, &head, NULL));
		(void)virtqueue_pair_add(pair, 1, 1);
		virtqueue_push(&pair->queue, pop_head(pair), 0);
	}
	assert_int_equal(virtqueue_pair_start(pair, inflight_log_queue(log.log, 0)), 0);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 0);
	virtqueue_stop(&pair->queue);
	inflight_log_close(log.log);
	close(log.fd);
}

static void restored_indices_are_compared_with_the_drivers(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	pair->config.next_available = pair->config.next_used = 100;
	assert_int_equal(virtqueue_pair_start(pair, NULL), 0);
	pair->ring.available[VRING_AVAILABLE_INDEX] = 100;
	assert_int_equal(virtqueue_check_available(&pair->queue, &err), 0);
	pair->ring.available[VRING_AVAILABLE_INDEX] = 100 + PAIR_RING_SIZE;
	assert_int_equal(virtqueue_check_available(&pair->queue, &err), 0);
	pair->ring.available[VRING_AVAILABLE_INDEX] = 101 + PAIR_RING_SIZE;
	assert_int_equal(virtqueue_check_available(&pair->queue, &err), -EINVAL);
	pair->ring.available[VRING_AVAILABLE_INDEX] = 99;
	assert_int_equal(virtqueue_check_available(&pair->queue, &err), -EINVAL);
}

#define STOPPED(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, virtqueue_pair_init, virtqueue_pair_destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STOPPED(a_restarted_worker_does_what_was_not_completed_first_and_nothing_twice),
		STOPPED(a_restarted_idle_queue_goes_on_where_it_was),
		STOPPED(replayed_chains_can_be_unpopped),
		STOPPED(completions_long_ago_are_not_done_again),
		STOPPED(restored_indices_are_compared_with_the_drivers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
