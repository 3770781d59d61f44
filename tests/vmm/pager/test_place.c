/* SPDX-License-Identifier: Apache-2.0 */
/* Pages into memory, around those that are there already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devworkers/common/on_demand.h"
#include "ipc/cleanup.h"
#include "tests/vmm/pager/pager_fixture.h"
#include "vmm/pager/place.h"

#define PAGES 8U
#define BYTES (PAGES * FIXTURE_PAGE)

struct waiter {
	const volatile uint8_t *at;
	uint8_t seen;
	int done; /* eventfd */
	pthread_t thread;
};

static void *wait_for_page(void *opaque)
{
	struct waiter *waiter = opaque;
	const uint64_t one = 1;

	waiter->seen = *waiter->at;
	(void)!write(waiter->done, &one, sizeof(one));
	return NULL;
}

static void waiter_start(struct waiter *waiter, const uint8_t *at, int userfaultfd)
{
	struct pollfd asks = {userfaultfd, POLLIN, 0};

	*waiter = (struct waiter){.at = at, .done = eventfd(0, EFD_CLOEXEC)};
	assert_int_equal(pthread_create(&waiter->thread, NULL, wait_for_page, waiter), 0);
	assert_int_equal(poll(&asks, 1, FIXTURE_WAIT_MS), 1);
}

static bool waiter_went_on(struct waiter *waiter, unsigned timeout_ms)
{
	struct pollfd done = {waiter->done, POLLIN, 0};

	return poll(&done, 1, (int)timeout_ms) == 1;
}

static void waiter_end(struct waiter *waiter)
{
	(void)pthread_join(waiter->thread, NULL);
	close(waiter->done);
}

static uint64_t address_of(const struct pager_fixture *fixture, unsigned page)
{
	return (uintptr_t)fixture->memory.regions[0].hva + (uint64_t)page * FIXTURE_PAGE;
}

static void pages_that_are_there_stay_and_the_others_come(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	const uint8_t *memory = fixture->memory.regions[0].hva;
	cleanup_free uint8_t *from = malloc(BYTES);
	uint8_t old[FIXTURE_PAGE];
	uint64_t placed = 0;

	memset(from, 0xaa, BYTES);
	memset(old, 0x55, sizeof(old));
	for (unsigned page = 0; page < PAGES; page += 3)
		assert_int_equal(place_copy(fixture->userfaultfd, address_of(fixture, page), old,
					    FIXTURE_PAGE, FIXTURE_PAGE, &placed),
				 0);
	assert_int_equal(placed, 3 * FIXTURE_PAGE);
	assert_int_equal(place_copy(fixture->userfaultfd, address_of(fixture, 0), from, BYTES,
				    FIXTURE_PAGE, &placed),
			 0);
	assert_int_equal(placed, BYTES);
	for (unsigned page = 0; page < PAGES; page++)
		assert_int_equal(memory[(uint64_t)page * FIXTURE_PAGE + 99],
				 page % 3 == 0 ? 0x55 : 0xaa);
}

static void zeros_go_around_pages_too(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	const uint8_t *memory = fixture->memory.regions[0].hva;
	uint8_t old[FIXTURE_PAGE];
	uint64_t placed = 0;

	memset(old, 0x55, sizeof(old));
	assert_int_equal(place_copy(fixture->userfaultfd, address_of(fixture, 4), old, FIXTURE_PAGE,
				    FIXTURE_PAGE, &placed),
			 0);
	placed = 0;
	assert_int_equal(place_zeros(fixture->userfaultfd, address_of(fixture, 0), BYTES,
				     FIXTURE_PAGE, &placed),
			 0);
	assert_int_equal(placed, BYTES - FIXTURE_PAGE);
	assert_int_equal(memory[4 * FIXTURE_PAGE], 0x55);
	assert_int_equal(memory[5 * FIXTURE_PAGE], 0);
}

/* The page came into the file through another mapping: this one's waiter has to hear of it. */
static void who_waits_for_a_page_that_is_there_is_woken(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct guest_memory other = GUEST_MEMORY_INIT;
	cleanup_free uint8_t *from = calloc(1, BYTES);
	struct error err = ERROR_INIT;
	struct waiter waiter;
	uint64_t placed = 0;
	cleanup_fd int userfaultfd = -1;

	assert_int_equal(guest_memory_add_region(&other, 0, FIXTURE_BYTES,
						 dup(fixture->memory.regions[0].fd), 0, &err),
			 0);
	userfaultfd = on_demand_register(&other, fixture->device, &err);
	assert_true(userfaultfd >= 0);
	waiter_start(&waiter, other.regions[0].hva + 2 * (uint64_t)FIXTURE_PAGE, userfaultfd);
	from[2 * FIXTURE_PAGE] = 7;
	assert_int_equal(place_copy(fixture->userfaultfd, address_of(fixture, 0), from, BYTES,
				    FIXTURE_PAGE, &placed),
			 0);
	assert_false(waiter_went_on(&waiter, FIXTURE_NOT_MS));
	assert_int_equal(place_copy(userfaultfd, (uintptr_t)other.regions[0].hva, from, BYTES,
				    FIXTURE_PAGE, &placed),
			 0);
	assert_true(waiter_went_on(&waiter, FIXTURE_WAIT_MS));
	waiter_end(&waiter);
	assert_int_equal(waiter.seen, 7);
	assert_int_equal(placed, BYTES);
	guest_memory_destroy(&other);
}

static void a_process_that_is_gone_is_told(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	uint8_t from[FIXTURE_PAGE] = {0};
	struct mapper mapper;
	uint64_t placed = 0;
	cleanup_fd int userfaultfd = -1;

	mapper_start(&mapper, fixture);
	userfaultfd = dup(mapper.userfaultfd);
	mapper_end(&mapper);
	assert_int_equal(
		place_copy(userfaultfd, mapper.address, from, FIXTURE_PAGE, FIXTURE_PAGE, &placed),
		-ESRCH);
	assert_int_equal(placed, 0);
}

static void something_that_is_no_userfaultfd_is_told(void **state)
{
	cleanup_fd int other = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(place_wake(other, 0, FIXTURE_PAGE), -ENOTTY);
}

#define ALONE(test)                                                                                \
	cmocka_unit_test_setup_teardown(test, pager_fixture_setup, pager_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(pages_that_are_there_stay_and_the_others_come),
		ALONE(zeros_go_around_pages_too),
		ALONE(who_waits_for_a_page_that_is_there_is_woken),
		ALONE(a_process_that_is_gone_is_told),
		cmocka_unit_test(something_that_is_no_userfaultfd_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
