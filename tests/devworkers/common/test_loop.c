/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "devworkers/common/loop.h"
#include "ipc/channel.h"

struct loop_test {
	struct loop *loop;
	struct loop_watch *first, *second;
	int fds[2];
	unsigned calls, other_calls;
};

static int setup(void **state)
{
	static struct loop_test test;

	test = (struct loop_test){.loop = loop_new()};
	assert_non_null(test.loop);
	for (unsigned i = 0; i < 2; i++)
		test.fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	struct loop_test *test = *state;

	loop_destroy(test->loop);
	close(test->fds[0]);
	close(test->fds[1]);
	return 0;
}

static void write_one(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void count_and_stop(void *opaque, uint32_t events)
{
	struct loop_test *test = opaque;

	(void)events;
	test->calls++;
	loop_stop(test->loop, 7);
}

static void stop_by_timer(void *opaque)
{
	struct loop_test *test = opaque;

	test->other_calls++;
	loop_stop(test->loop, 0);
}

static void a_ready_fd_calls_its_callback(void **state)
{
	struct loop_test *test = *state;

	assert_non_null(loop_watch_fd(test->loop, test->fds[0], EPOLLIN, count_and_stop, test));
	write_one(test->fds[0]);
	assert_int_equal(loop_run(test->loop), 7);
	assert_int_equal(test->calls, 1);
}

static void stop_before_run_takes_effect(void **state)
{
	struct loop_test *test = *state;

	loop_stop(test->loop, 3);
	assert_int_equal(loop_run(test->loop), 3);
}

/* The worker relies on it: kick eventfds are never read. */
static void each_write_to_an_unread_eventfd_is_an_edge(void **state)
{
	struct loop_test *test = *state;

	assert_non_null(
		loop_watch_fd(test->loop, test->fds[0], EPOLLIN | EPOLLET, count_and_stop, test));
	for (unsigned i = 0; i < 3; i++) {
		write_one(test->fds[0]);
		(void)loop_run(test->loop);
		assert_int_equal(test->calls, i + 1);
	}
	assert_int_equal(loop_set_timer(test->loop, channel_now_ms() + 20, stop_by_timer, test), 0);
	(void)loop_run(test->loop);
	assert_int_equal(test->calls, 3);
}

static void unwatch_both(void *opaque, uint32_t events)
{
	struct loop_test *test = opaque;

	(void)events;
	test->calls++;
	loop_unwatch(test->first);
	loop_unwatch(test->second);
	loop_unwatch(test->second); /* harmless */
	loop_stop(test->loop, 0);
}

static void a_watch_removed_by_another_callback_is_not_called(void **state)
{
	struct loop_test *test = *state;

	test->first = loop_watch_fd(test->loop, test->fds[0], EPOLLIN, unwatch_both, test);
	test->second = loop_watch_fd(test->loop, test->fds[1], EPOLLIN, unwatch_both, test);
	write_one(test->fds[0]);
	write_one(test->fds[1]);
	(void)loop_run(test->loop);
	assert_int_equal(test->calls, 1);
	loop_unwatch(NULL);
}

static void a_rewatched_fd_waits_for_the_new_events(void **state)
{
	struct loop_test *test = *state;
	struct loop_watch *watch =
		loop_watch_fd(test->loop, test->fds[0], EPOLLIN, count_and_stop, test);

	assert_int_equal(loop_rewatch(watch, EPOLLOUT), 0);
	assert_int_equal(loop_run(test->loop), 7);
}

static void an_fd_that_cannot_be_watched_is_an_error(void **state)
{
	struct loop_test *test = *state;

	assert_null(loop_watch_fd(test->loop, -1, EPOLLIN, count_and_stop, test));
	assert_int_equal(errno, EBADF);
}

static void timers_run_once_at_their_time(void **state)
{
	struct loop_test *test = *state;
	uint64_t start = channel_now_ms();

	assert_int_equal(loop_set_timer(test->loop, start + 30, stop_by_timer, test), 0);
	(void)loop_run(test->loop);
	assert_true(channel_now_ms() >= start + 30);
	assert_int_equal(test->other_calls, 1);
}

static void count_timer(void *opaque)
{
	struct loop_test *test = opaque;

	test->calls++;
}

static void timers_are_independent_and_can_be_moved_and_turned_off(void **state)
{
	struct loop_test *test = *state;
	uint64_t now = channel_now_ms();

	assert_int_equal(loop_set_timer(test->loop, now + 5, count_timer, test), 0);
	assert_int_equal(loop_set_timer(test->loop, now + 5, count_timer, test->fds), 0);
	assert_int_equal(loop_set_timer(test->loop, UINT64_MAX, count_timer, test->fds), 0);
	assert_int_equal(loop_set_timer(test->loop, now, stop_by_timer, test), 0);
	assert_int_equal(loop_set_timer(test->loop, now + 30, stop_by_timer, test), 0);
	(void)loop_run(test->loop);
	assert_int_equal(test->calls, 1);
}

static void a_fifth_timer_is_refused(void **state)
{
	struct loop_test *test = *state;
	char names[5];

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(loop_set_timer(test->loop, 1, count_timer, &names[i]), 0);
	assert_int_equal(loop_set_timer(test->loop, 1, count_timer, &names[4]), -ENOSPC);
}

static bool three_times(void *opaque)
{
	struct loop_test *test = opaque;

	if (++test->calls < 3)
		return true;
	loop_stop(test->loop, 0);
	return false;
}

static void idle_work_keeps_the_loop_awake(void **state)
{
	struct loop_test *test = *state;

	loop_set_idle(test->loop, three_times, test);
	(void)loop_run(test->loop);
	assert_int_equal(test->calls, 3);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_ready_fd_calls_its_callback),
		TEST(stop_before_run_takes_effect),
		TEST(each_write_to_an_unread_eventfd_is_an_edge),
		TEST(a_watch_removed_by_another_callback_is_not_called),
		TEST(a_rewatched_fd_waits_for_the_new_events),
		TEST(an_fd_that_cannot_be_watched_is_an_error),
		TEST(timers_run_once_at_their_time),
		TEST(timers_are_independent_and_can_be_moved_and_turned_off),
		TEST(a_fifth_timer_is_refused),
		TEST(idle_work_keeps_the_loop_awake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
