/* SPDX-License-Identifier: Apache-2.0 */
/* The pager serves: what memory holds, whoever touches it, in whatever order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/pager/pager_fixture.h"

#define MAPPERS 5

static uint8_t *memory_of(const struct pager_fixture *fixture)
{
	return fixture->memory.regions[0].hva;
}

static void all_memory_is_as_it_was_saved(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	Bulkhead__Pager__Stats stats;

	assert_memory_equal(memory_of(fixture), fixture->saved.content, FIXTURE_BYTES);
	pager_fixture_stats(fixture, &stats);
	assert_int_equal(stats.present_bytes, stats.placed_bytes);
	assert_int_equal(stats.present_bytes, stats.prefault_done_bytes);
	assert_int_equal(stats.placed_bytes + stats.zero_bytes, FIXTURE_BYTES);
	assert_int_equal(stats.chunks * FIXTURE_CHUNK_BYTES, stats.present_bytes);
}

static void one_fault_brings_the_whole_chunk(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	uint64_t chunk = 3 * (uint64_t)FIXTURE_CHUNK_BYTES;
	Bulkhead__Pager__Stats stats;

	assert_memory_equal(memory_of(fixture) + chunk + 5 * FIXTURE_PAGE,
			    fixture->saved.content + chunk + 5 * FIXTURE_PAGE, 1);
	for (unsigned page = 0; page < FIXTURE_CHUNK_BYTES / FIXTURE_PAGE; page++)
		assert_true(pager_fixture_has_page(fixture, chunk + page * FIXTURE_PAGE));
	assert_false(pager_fixture_has_page(fixture, chunk - FIXTURE_PAGE));
	assert_memory_equal(memory_of(fixture) + chunk, fixture->saved.content + chunk,
			    FIXTURE_CHUNK_BYTES);
	pager_fixture_stats(fixture, &stats);
	assert_int_equal(stats.faults, 1);
}

static void what_was_written_meanwhile_stays(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct mapper other;
	struct error err = ERROR_INIT;

	memory_of(fixture)[0] = 0xee;
	mapper_start(&other, fixture);
	assert_int_equal(pager_fixture_add(fixture, 1, other.userfaultfd, other.address, &err), 0);
	mapper_begin_check(&other, FIXTURE_PAGE, FIXTURE_CHUNK_BYTES - FIXTURE_PAGE);
	assert_int_equal(mapper_end_check(&other, FIXTURE_WAIT_MS), 1);
	assert_int_equal(memory_of(fixture)[0], 0xee);
	mapper_end(&other);
}

/* Every process waits for the same pages at the same time, in another order each. */
static void many_processes_at_once_all_see_what_was_saved(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct mapper mappers[MAPPERS];
	struct error err = ERROR_INIT;

	for (uint32_t i = 0; i < MAPPERS; i++) {
		mapper_start(&mappers[i], fixture);
		assert_int_equal(pager_fixture_add(fixture, i + 1, mappers[i].userfaultfd,
						   mappers[i].address, &err),
				 0);
	}
	pager_fixture_prefault(fixture, true);
	for (unsigned chunk = 0; chunk < FIXTURE_CHUNKS; chunk += 4) {
		for (unsigned i = 0; i < MAPPERS; i++)
			mapper_begin_check(&mappers[i], (uint64_t)chunk * FIXTURE_CHUNK_BYTES,
					   4 * (uint64_t)FIXTURE_CHUNK_BYTES);
		assert_memory_equal(memory_of(fixture) + (uint64_t)chunk * FIXTURE_CHUNK_BYTES,
				    fixture->saved.content + (uint64_t)chunk * FIXTURE_CHUNK_BYTES,
				    4 * (uint64_t)FIXTURE_CHUNK_BYTES);
		for (unsigned i = 0; i < MAPPERS; i++)
			assert_int_equal(mapper_end_check(&mappers[i], FIXTURE_WAIT_MS), 1);
	}
	for (unsigned i = 0; i < MAPPERS; i++)
		mapper_end(&mappers[i]);
}

static void prefault_brings_all_that_was_saved_and_no_hole(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	Bulkhead__Pager__Stats stats;

	pager_fixture_prefault(fixture, true);
	assert_true(pager_fixture_wait(fixture, &fixture->prefault_done_count));
	for (unsigned chunk = 0; chunk < FIXTURE_CHUNKS; chunk++)
		assert_int_equal(
			pager_fixture_has_page(fixture, (uint64_t)chunk * FIXTURE_CHUNK_BYTES),
			saved_memory_has(&fixture->saved, chunk));
	pager_fixture_stats(fixture, &stats);
	assert_int_equal(stats.faults, 0);
	assert_int_equal(stats.prefault_done_bytes, stats.present_bytes);
	assert_memory_equal(memory_of(fixture), fixture->saved.content, FIXTURE_BYTES);
}

static void prefault_that_is_stopped_goes_on_later(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);

	pager_fixture_prefault(fixture, true);
	pager_fixture_prefault(fixture, false);
	pager_fixture_prefault(fixture, true);
	assert_true(pager_fixture_wait(fixture, &fixture->prefault_done_count));
	assert_memory_equal(memory_of(fixture), fixture->saved.content, FIXTURE_BYTES);
}

static void a_page_that_was_given_back_reads_as_zeros(void **state)
{
	static const uint8_t zeros[FIXTURE_PAGE];
	struct pager_fixture *fixture = pager_fixture_get(state);

	assert_memory_equal(memory_of(fixture), fixture->saved.content, FIXTURE_PAGE);
	assert_int_equal(fallocate(fixture->memory.regions[0].fd,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, FIXTURE_PAGE),
			 0);
	assert_memory_equal(memory_of(fixture), zeros, FIXTURE_PAGE);
	assert_memory_equal(memory_of(fixture) + FIXTURE_PAGE,
			    fixture->saved.content + FIXTURE_PAGE, FIXTURE_PAGE);
}

static void a_process_that_left_can_come_again(void **state)
{
	struct pager_fixture *fixture = pager_fixture_get(state);
	struct error err = ERROR_INIT;
	struct mapper other;

	for (unsigned round = 0; round < 70; round++) { /* more often than there is room */
		mapper_start(&other, fixture);
		assert_int_equal(
			pager_fixture_add(fixture, 1, other.userfaultfd, other.address, &err), 0);
		mapper_begin_check(&other, (round % FIXTURE_CHUNKS) * FIXTURE_CHUNK_BYTES,
				   FIXTURE_PAGE);
		assert_int_equal(mapper_end_check(&other, FIXTURE_WAIT_MS), 1);
		mapper_end(&other);
		pager_fixture_remove(fixture, 1);
	}
}

static void nothing_is_asked_of_a_pager_before_it_is_configured(void **state)
{
	struct pager_fixture *fixture = *state;
	struct error err = ERROR_INIT;

	if (pager_fixture_launch(fixture, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(pager_fixture_add(fixture, 1, fixture->saved.fd, 1U << 30, &err) < 0);
	assert_int_equal(fixture->closed_count, 1);
	pager_fixture_kill(fixture); /* its channel is gone: it ends with an error */
}

#define ALONE(test)                                                                                \
	cmocka_unit_test_setup_teardown(test, pager_fixture_setup, pager_fixture_teardown)
#define SERVING(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, pager_fixture_setup_serving, pager_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(nothing_is_asked_of_a_pager_before_it_is_configured),
		SERVING(all_memory_is_as_it_was_saved),
		SERVING(one_fault_brings_the_whole_chunk),
		SERVING(what_was_written_meanwhile_stays),
		SERVING(many_processes_at_once_all_see_what_was_saved),
		SERVING(prefault_brings_all_that_was_saved_and_no_hole),
		SERVING(prefault_that_is_stopped_goes_on_later),
		SERVING(a_page_that_was_given_back_reads_as_zeros),
		SERVING(a_process_that_left_can_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
