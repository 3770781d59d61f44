/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "devworkers/common/inflight_log.h"
#include "tests/devworkers/common/guest_ram.h"

#define QUEUES 2
#define SIZE   8

struct log_test {
	int fd;
	struct inflight_log *log;
	struct inflight_queue *queue;
	uint16_t heads[SIZE];
};

static void reopen(struct log_test *test)
{
	struct error err = ERROR_INIT;

	inflight_log_close(test->log);
	test->log = inflight_log_open(test->fd, QUEUES, SIZE, &err);
	if (!test->log)
		fail_msg("%s", err.message);
	test->queue = inflight_log_queue(test->log, 1);
}

static int setup(void **state)
{
	static struct log_test test;

	test = (struct log_test){.fd = guest_ram_log_file(inflight_log_bytes(QUEUES, SIZE))};
	reopen(&test);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	struct log_test *test = *state;

	inflight_log_close(test->log);
	close(test->fd);
	return 0;
}

static void a_fresh_log_is_not_started_and_holds_nothing(void **state)
{
	struct log_test *test = *state;

	assert_false(inflight_queue_is_started(test->queue));
	assert_int_equal(inflight_queue_recover(test->queue, 0, test->heads), 0);
	assert_int_equal(inflight_queue_size(test->queue), SIZE);
	assert_null(inflight_log_queue(test->log, QUEUES));
}

static void recorded_heads_come_back_oldest_first(void **state)
{
	struct log_test *test = *state;

	inflight_queue_start(test->queue);
	inflight_queue_record(test->queue, 5);
	inflight_queue_record(test->queue, 2);
	inflight_queue_record(test->queue, 7);
	inflight_queue_forget(test->queue, 2);
	reopen(test);
	assert_true(inflight_queue_is_started(test->queue));
	assert_int_equal(inflight_queue_recover(test->queue, 0, test->heads), 2);
	assert_int_equal(test->heads[0], 5);
	assert_int_equal(test->heads[1], 7);
}

static void the_order_holds_over_several_restarts(void **state)
{
	struct log_test *test = *state;

	inflight_queue_record(test->queue, 6);
	reopen(test);
	assert_int_equal(inflight_queue_recover(test->queue, 0, test->heads), 1);
	inflight_queue_record(test->queue, 1);
	reopen(test);
	assert_int_equal(inflight_queue_recover(test->queue, 0, test->heads), 2);
	assert_int_equal(test->heads[0], 6);
	assert_int_equal(test->heads[1], 1);
}

static void a_completion_killed_before_its_publication_is_done_again(void **state)
{
	struct log_test *test = *state;

	inflight_queue_record(test->queue, 3);
	inflight_queue_complete_begin(test->queue, 3, 65535);
	reopen(test);
	assert_int_equal(inflight_queue_recover(test->queue, 65535, test->heads), 1);
	assert_int_equal(test->heads[0], 3);
}

static void a_completion_killed_after_its_publication_is_not_done_again(void **state)
{
	struct log_test *test = *state;

	inflight_queue_record(test->queue, 3);
	inflight_queue_complete_begin(test->queue, 3, 65535);
	reopen(test);
	assert_int_equal(inflight_queue_recover(test->queue, 0, test->heads), 0); /* wrapped */
	reopen(test);
	assert_int_equal(inflight_queue_recover(test->queue, 0, test->heads), 0);
}

static void in_a_batch_each_completion_is_decided_by_its_own_index(void **state)
{
	struct log_test *test = *state;

	for (uint16_t head = 0; head < 4; head++)
		inflight_queue_record(test->queue, head);
	for (uint16_t head = 0; head < 4; head++)
		inflight_queue_complete_begin(test->queue, head, (uint16_t)(10 + head));
	reopen(test);
	assert_int_equal(inflight_queue_recover(test->queue, 12, test->heads), 2);
	assert_int_equal(test->heads[0], 2);
	assert_int_equal(test->heads[1], 3);
}

static void a_completed_head_is_forgotten(void **state)
{
	struct log_test *test = *state;

	inflight_queue_record(test->queue, 3);
	inflight_queue_complete_begin(test->queue, 3, 0);
	inflight_queue_complete_done(test->queue, 3);
	assert_int_equal(inflight_queue_recover(test->queue, 0, test->heads), 0);
}

static void a_cleared_queue_is_fresh_and_its_neighbour_untouched(void **state)
{
	struct log_test *test = *state;
	struct inflight_queue *other = inflight_log_queue(test->log, 0);

	inflight_queue_start(test->queue);
	inflight_queue_record(test->queue, 3);
	inflight_queue_start(other);
	inflight_queue_record(other, 4);
	inflight_queue_clear(test->queue);
	assert_false(inflight_queue_is_started(test->queue));
	assert_int_equal(inflight_queue_recover(test->queue, 0, test->heads), 0);
	assert_true(inflight_queue_is_started(other));
	assert_int_equal(inflight_queue_recover(other, 0, test->heads), 1);
}

static void a_log_full_of_garbage_yields_heads_in_range_only(void **state)
{
	struct log_test *test = *state;
	size_t bytes = inflight_log_bytes(QUEUES, SIZE);
	uint8_t *raw = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, test->fd, 0);
	unsigned count;

	memset(raw + 64, 0xa5, bytes - 64);
	reopen(test);
	count = inflight_queue_recover(test->queue, 1234, test->heads);
	assert_true(count <= SIZE);
	for (unsigned i = 0; i < count; i++)
		assert_true(test->heads[i] < SIZE);
	munmap(raw, bytes);
}

static void a_log_with_another_header_is_refused(void **state)
{
	struct log_test *test = *state;
	struct error err = ERROR_INIT;
	uint32_t *raw = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, test->fd, 0);

	assert_null(inflight_log_open(test->fd, QUEUES, SIZE / 2, &err));
	assert_null(inflight_log_open(test->fd, 1, SIZE, &err));
	raw[1]++;
	assert_null(inflight_log_open(test->fd, QUEUES, SIZE, &err));
	assert_int_equal(err.code, -EINVAL);
	raw[1]--;
	raw[0]++;
	assert_null(inflight_log_open(test->fd, QUEUES, SIZE, &err));
	munmap(raw, 4096);
}

static void a_log_that_is_too_small_or_could_shrink_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	int small = guest_ram_log_file(inflight_log_bytes(QUEUES, SIZE) - 1);
	int open_ended = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(open_ended, 65536), 0);
	assert_null(inflight_log_open(small, QUEUES, SIZE, &err));
	assert_null(inflight_log_open(open_ended, QUEUES, SIZE, &err));
	assert_null(inflight_log_open(-1, QUEUES, SIZE, &err));
	assert_null(inflight_log_open(small, 0, SIZE, &err));
	close(small);
	close(open_ended);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fresh_log_is_not_started_and_holds_nothing),
		TEST(recorded_heads_come_back_oldest_first),
		TEST(the_order_holds_over_several_restarts),
		TEST(a_completion_killed_before_its_publication_is_done_again),
		TEST(a_completion_killed_after_its_publication_is_not_done_again),
		TEST(in_a_batch_each_completion_is_decided_by_its_own_index),
		TEST(a_completed_head_is_forgotten),
		TEST(a_cleared_queue_is_fresh_and_its_neighbour_untouched),
		TEST(a_log_full_of_garbage_yields_heads_in_range_only),
		TEST(a_log_with_another_header_is_refused),
		cmocka_unit_test(a_log_that_is_too_small_or_could_shrink_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
