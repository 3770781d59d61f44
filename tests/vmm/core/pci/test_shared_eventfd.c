/* SPDX-License-Identifier: Apache-2.0 */
/* Eventfds that a worker has made block, filled and emptied: nothing waits for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/core/pci/shared_eventfd.h"

#define HANG_SECONDS 20

/* As the core makes one, after the worker had it. */
static int setup(void **state)
{
	static int fd;

	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0)
		return -1;
	*state = &fd;
	(void)alarm(HANG_SECONDS);
	return 0;
}

static int teardown(void **state)
{
	(void)alarm(0);
	return close(*(int *)*state);
}

static void an_empty_one_is_drained_without_waiting(void **state)
{
	assert_false(shared_eventfd_drain(*(int *)*state));
	assert_false(shared_eventfd_drain(*(int *)*state));
}

static void a_signal_is_there_until_it_is_drained(void **state)
{
	int fd = *(int *)*state;

	shared_eventfd_signal(fd);
	shared_eventfd_signal(fd);
	assert_true(shared_eventfd_drain(fd));
	assert_false(shared_eventfd_drain(fd));
}

static void a_full_one_is_signalled_without_waiting(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	int fd = *(int *)*state;

	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	shared_eventfd_signal(fd);
	assert_true(shared_eventfd_drain(fd));
	shared_eventfd_signal(fd);
	assert_true(shared_eventfd_drain(fd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(an_empty_one_is_drained_without_waiting),
		TEST(a_signal_is_there_until_it_is_drained),
		TEST(a_full_one_is_signalled_without_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
