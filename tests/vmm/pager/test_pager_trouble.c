/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged files, hostile processes, pagers that die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "ipc/cleanup.h"
#include "tests/vmm/pager/pager_fixture.h"

#define CHUNK ((uint64_t)FIXTURE_CHUNK_BYTES)

static void add_mapper(struct pager_fixture *fixture, struct mapper *mapper, uint32_t id)
{
	struct error err = ERROR_INIT;

	mapper_start(mapper, fixture);
	if (pager_fixture_add(fixture, id, mapper->userfaultfd, mapper->address, &err) < 0)
		fail_msg("%s", err.message);
}

/* The pager works as before. */
static void assert_serves(struct pager_fixture *fixture, uint64_t chunk)
{
	assert_memory_equal(fixture->memory.regions[0].hva + chunk * CHUNK,
			    fixture->saved.content + chunk * CHUNK, CHUNK);
}

static void assert_never_placed(struct pager_fixture *fixture, uint64_t chunk)
{
	for (uint64_t at = chunk * CHUNK; at < (chunk + 1) * CHUNK; at += FIXTURE_PAGE)
		assert_false(pager_fixture_has_page(fixture, at));
}

static void nothing_of_a_damaged_chunk_is_ever_seen(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct mapper victim;

	saved_memory_flip_bit(&fixture->saved, 2 * CHUNK + CHUNK - 1);
	add_mapper(fixture, &victim, 1);
	mapper_begin_check(&victim, 2 * CHUNK, FIXTURE_PAGE);
	assert_true(pager_fixture_wait(fixture, &fixture->damaged_count));
	assert_int_equal(fixture->damaged_offset, 2 * CHUNK);
	assert_non_null(strstr(fixture->reason, "checksum"));
	assert_int_equal(mapper_end_check(&victim, FIXTURE_NOT_MS), -1);
	assert_never_placed(fixture, 2);
	assert_serves(fixture, 3);
	mapper_end(&victim);
}

static void a_file_that_is_cut_short_is_told(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct mapper victim;

	assert_int_equal(ftruncate(fixture->saved.fd, (off_t)(6 * CHUNK + 100)), 0);
	add_mapper(fixture, &victim, 1);
	mapper_begin_check(&victim, 6 * CHUNK, FIXTURE_PAGE);
	assert_true(pager_fixture_wait(fixture, &fixture->damaged_count));
	assert_int_equal(fixture->damaged_offset, 6 * CHUNK);
	assert_non_null(strstr(fixture->reason, "cut short"));
	assert_int_equal(mapper_end_check(&victim, FIXTURE_NOT_MS), -1);
	assert_never_placed(fixture, 6);
	assert_serves(fixture, 5);
	mapper_end(&victim);
}

static void prefault_over_damage_tells_and_is_never_done(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);

	saved_memory_flip_bit(&fixture->saved, 30 * CHUNK);
	pager_fixture_prefault(fixture, true);
	assert_true(pager_fixture_wait(fixture, &fixture->damaged_count));
	assert_int_equal(fixture->damaged_offset, 30 * CHUNK);
	(void)poll(NULL, 0, FIXTURE_NOT_MS);
	(void)channel_dispatch(fixture->channel, 0);
	assert_int_equal(fixture->prefault_done_count, 0);
	assert_never_placed(fixture, 30);
}

static void a_file_of_another_size_is_refused(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct error err = ERROR_INIT;

	assert_int_equal(ftruncate(fixture->saved.fd, (off_t)(FIXTURE_BYTES + 1)), 0);
	assert_int_equal(pager_fixture_start(fixture, &err), -EINVAL);
	assert_non_null(strstr(err.message, "the manifest says"));
}

static void something_that_is_no_userfaultfd_is_refused(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	cleanup_fd int other = eventfd(1, 0);
	struct error err = ERROR_INIT;

	assert_true(pager_fixture_add(fixture, 1, other, 1U << 30, &err) < 0);
	assert_non_null(strstr(err.message, "no userfaultfd"));
	assert_serves(fixture, 0);
}

static void addresses_that_cannot_be_are_refused(void **state)
{
	const uint64_t bad[] = {0, 17, UINT64_MAX - 4095, UINT64_C(1) << 62};
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct error err = ERROR_INIT;
	struct mapper liar;

	mapper_start(&liar, fixture);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(pager_fixture_add(fixture, 1, liar.userfaultfd, bad[i], &err) < 0);
	mapper_end(&liar);
	assert_serves(fixture, 0);
}

/* It says that its memory is a chunk further up than it is. */
static void a_lie_about_an_address_puts_no_byte_anywhere_wrong(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct error err = ERROR_INIT;
	struct mapper liar;

	mapper_start(&liar, fixture);
	assert_int_equal(
		pager_fixture_add(fixture, 1, liar.userfaultfd, liar.address - CHUNK, &err), 0);
	mapper_begin_check(&liar, 4 * CHUNK, CHUNK);
	assert_int_equal(mapper_end_check(&liar, FIXTURE_NOT_MS), -1);
	mapper_end(&liar);
	assert_memory_equal(fixture->memory.regions[0].hva, fixture->saved.content, FIXTURE_BYTES);
}

static void a_fault_outside_guest_memory_ends_the_service(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct error err = ERROR_INIT;
	struct mapper liar;

	mapper_start(&liar, fixture);
	assert_int_equal(
		pager_fixture_add(fixture, 7, liar.userfaultfd, liar.address + CHUNK, &err), 0);
	mapper_begin_check(&liar, 0, FIXTURE_PAGE);
	assert_true(pager_fixture_wait(fixture, &fixture->process_failed_count));
	assert_int_equal(fixture->failed_process, 7);
	mapper_end(&liar);
	assert_serves(fixture, 0);
}

/* Who shares the descriptor can make it block; nobody else shall wait for that. */
static void a_userfaultfd_that_blocks_stops_only_its_owner(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct mapper hostile, honest;

	add_mapper(fixture, &hostile, 1);
	add_mapper(fixture, &honest, 2);
	assert_int_equal(fcntl(hostile.userfaultfd, F_SETFL, 0), 0);
	mapper_begin_check(&hostile, 0, FIXTURE_PAGE);
	assert_true(pager_fixture_wait(fixture, &fixture->process_failed_count));
	assert_int_equal(fixture->failed_process, 1);
	assert_non_null(strstr(fixture->reason, "blocks"));
	mapper_begin_check(&honest, 0, FIXTURE_BYTES);
	assert_int_equal(mapper_end_check(&honest, FIXTURE_WAIT_MS), 1);
	mapper_end(&hostile);
	mapper_end(&honest);
}

static void a_fault_that_died_with_a_pager_is_asked_again(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct uffd_msg lost;
	struct pollfd ready = {.events = POLLIN};
	struct error err = ERROR_INIT;
	struct mapper waiting;

	pager_fixture_kill(fixture);
	mapper_start(&waiting, fixture);
	mapper_begin_check(&waiting, 0, 8 * CHUNK);
	ready.fd = waiting.userfaultfd;
	assert_int_equal(poll(&ready, 1, FIXTURE_WAIT_MS), 1);
	assert_int_equal(read(waiting.userfaultfd, &lost, sizeof(lost)), sizeof(lost));
	assert_int_equal(pager_fixture_start(fixture, &err), 0);
	assert_int_equal(pager_fixture_add(fixture, 1, waiting.userfaultfd, waiting.address, &err),
			 0);
	assert_int_equal(mapper_end_check(&waiting, FIXTURE_WAIT_MS), 1);
	mapper_end(&waiting);
}

static void memory_survives_pagers_that_are_killed_while_they_serve(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct error err = ERROR_INIT;
	struct mapper waiting;

	mapper_start(&waiting, fixture);
	mapper_begin_check(&waiting, 0, FIXTURE_BYTES);
	for (unsigned round = 0; round < 8; round++) {
		assert_int_equal(
			pager_fixture_add(fixture, 1, waiting.userfaultfd, waiting.address, &err),
			0);
		(void)poll(NULL, 0, 1);
		pager_fixture_kill(fixture);
		assert_int_equal(pager_fixture_start(fixture, &err), 0);
	}
	assert_int_equal(pager_fixture_add(fixture, 1, waiting.userfaultfd, waiting.address, &err),
			 0);
	assert_int_equal(mapper_end_check(&waiting, FIXTURE_WAIT_MS), 1);
	assert_memory_equal(fixture->memory.regions[0].hva, fixture->saved.content, FIXTURE_BYTES);
	mapper_end(&waiting);
}

/* All was in memory before: what is missing now was given back, whatever the file says. */
static void a_pager_of_complete_memory_gives_zeros_and_needs_no_file(void **state)
{
	static const uint8_t zeros[FIXTURE_PAGE];
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct error err = ERROR_INIT;

	fixture->complete = true;
	assert_int_equal(ftruncate(fixture->saved.fd, 0), 0);
	assert_int_equal(pager_fixture_start(fixture, &err), 0);
	assert_memory_equal(fixture->memory.regions[0].hva, zeros, FIXTURE_PAGE);
}

static void a_pager_ends_with_the_core(void **state)
{
	struct pager_fixture *fixture = *state;
	struct error err = ERROR_INIT;
	int status;

	if (pager_fixture_launch(fixture, &err) < 0)
		fail_msg("%s", err.message);
	channel_destroy(fixture->channel);
	fixture->channel = NULL;
	status = worker_launch_reap(&fixture->process, 2000);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define SERVING(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, pager_fixture_setup_serving, pager_fixture_teardown)
#define ALONE(test)                                                                                \
	cmocka_unit_test_setup_teardown(test, pager_fixture_setup, pager_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVING(nothing_of_a_damaged_chunk_is_ever_seen),
		SERVING(a_file_that_is_cut_short_is_told),
		SERVING(prefault_over_damage_tells_and_is_never_done),
		ALONE(a_file_of_another_size_is_refused),
		SERVING(something_that_is_no_userfaultfd_is_refused),
		SERVING(addresses_that_cannot_be_are_refused),
		SERVING(a_lie_about_an_address_puts_no_byte_anywhere_wrong),
		SERVING(a_fault_outside_guest_memory_ends_the_service),
		SERVING(a_userfaultfd_that_blocks_stops_only_its_owner),
		SERVING(a_fault_that_died_with_a_pager_is_asked_again),
		SERVING(memory_survives_pagers_that_are_killed_while_they_serve),
		ALONE(a_pager_of_complete_memory_gives_zeros_and_needs_no_file),
		ALONE(a_pager_ends_with_the_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
