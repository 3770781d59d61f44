/* SPDX-License-Identifier: Apache-2.0 */
/* The core's side of memory on demand: who is served, who is told what, what outlives a pager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "ipc/cleanup.h"
#include "tests/vmm/core/snapshot/pager_client_fixture.h"

static void memory_is_what_was_saved(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct toucher toucher;

	pager_client_start_serving(fixture);
	toucher_begin(fixture, &toucher, &fixture->memory, 0);
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 1));
	toucher_end(&toucher);
	assert_false(pager_client_is_complete(fixture->client));
}

static void prefault_makes_memory_complete(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct pager_client_stats stats;

	pager_client_start_serving(fixture);
	assert_int_equal(pager_client_prefault(fixture->client, true, &fixture->err), 0);
	assert_true(pager_client_wait(fixture, &fixture->prefault_done, 1));
	assert_true(pager_client_is_complete(fixture->client));
	assert_int_equal(lseek(fixture->memory.regions[0].fd, 0, SEEK_HOLE), CHUNK);
	do {
		(void)uv_run(&fixture->loop, UV_RUN_ONCE);
		pager_client_stats(fixture->client, &stats);
	} while (!stats.present_bytes);
	assert_int_equal(stats.prefault_done_bytes, stats.present_bytes);
	assert_int_equal(stats.placed_bytes, stats.present_bytes);
}

static void another_process_is_served_too(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct guest_memory other = GUEST_MEMORY_INIT;
	uint64_t addresses[REGIONS];
	struct toucher toucher;
	int userfaultfd;

	pager_client_start_serving(fixture);
	userfaultfd = pager_client_map_again(fixture, &other, addresses);
	assert_int_equal(pager_client_add_process(fixture->client, "blk \"root\"", userfaultfd,
						  addresses, REGIONS, &fixture->err),
			 0);
	toucher_begin(fixture, &toucher, &other, 0);
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 1));
	toucher_end(&toucher);
	pager_client_remove_process(fixture->client, "blk \"root\"");
	guest_memory_destroy(&other);
}

static void a_pager_that_dies_is_replaced_and_nothing_is_lost(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct guest_memory other = GUEST_MEMORY_INIT;
	struct toucher touchers[2];
	struct pager_client_stats stats;
	uint64_t addresses[REGIONS];

	pager_client_start_serving(fixture);
	assert_int_equal(
		pager_client_add_process(fixture->client, "other",
					 pager_client_map_again(fixture, &other, addresses),
					 addresses, REGIONS, &fixture->err),
		0);
	toucher_begin(fixture, &touchers[0], &fixture->memory, 2000);
	toucher_begin(fixture, &touchers[1], &other, 1500);
	for (int round = 1; round <= 4; round++) {
		pager_client_kill(fixture);
		assert_true(pager_client_wait(fixture, &fixture->restarted, round));
	}
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 2));
	toucher_end(&touchers[0]);
	toucher_end(&touchers[1]);
	pager_client_stats(fixture->client, &stats);
	assert_int_equal(stats.restarts, 4);
	assert_int_equal(fixture->failed, 0);
	guest_memory_destroy(&other);
}

static void prefault_goes_on_with_the_next_pager(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);

	pager_client_start_serving(fixture);
	pager_client_kill(fixture);
	assert_int_equal(pager_client_prefault(fixture->client, true, &fixture->err), 0);
	assert_true(pager_client_wait(fixture, &fixture->prefault_done, 1));
	assert_int_equal(fixture->restarted, 1);
}

static void pagers_that_die_again_and_again_are_given_up(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);

	pager_client_start_serving(fixture);
	for (int round = 1; round <= 5; round++) {
		pager_client_kill(fixture);
		assert_true(pager_client_wait(fixture, &fixture->restarted, round));
	}
	pager_client_kill(fixture);
	assert_true(pager_client_wait(fixture, &fixture->failed, 1));
	assert_non_null(strstr(fixture->text, "6 times"));
	assert_int_equal(pager_client_pid(fixture->client), 0);
}

static void without_a_broker_the_owner_is_told(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);

	pager_client_start_serving(fixture);
	assert_int_equal(broker_client_shutdown(fixture->broker, WAIT_MS, &fixture->err), 0);
	assert_true(pager_client_wait(fixture, &fixture->failed, 1));
}

static void a_pager_that_cannot_be_started_is_told_once(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct pager_client_options options;

	pager_client_start_broker(fixture, fixture->folder); /* no program is in there */
	pager_client_fill_options(fixture, &options);
	fixture->client = pager_client_start(&options, &fixture->err);
	assert_non_null(fixture->client);
	assert_true(pager_client_wait(fixture, &fixture->ready, 1));
	assert_int_not_equal(fixture->ready_error, 0);
	assert_non_null(strstr(fixture->text, "bulkhead-pager is not installed"));
	assert_int_equal(fixture->failed, 0);
}

static void damage_is_told_by_region_and_offset(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	const uint8_t wrong = 0xff;

	pager_client_start_serving(fixture);
	assert_int_equal(pwrite(fixture->files[1], &wrong, 1, (off_t)(5 * CHUNK + 9)), 1);
	assert_int_equal(pager_client_prefault(fixture->client, true, &fixture->err), 0);
	assert_true(pager_client_wait(fixture, &fixture->damaged, 1));
	assert_int_equal(fixture->damaged_region, 1);
	assert_int_equal(fixture->damaged_offset, 5 * CHUNK);
	assert_int_equal(fixture->prefault_done, 0);
}

static void a_file_of_the_wrong_size_is_refused_before_the_start(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct pager_client_options options;

	pager_client_start_broker(fixture, NULL);
	assert_int_equal(ftruncate(fixture->files[0], (off_t)CHUNK), 0);
	pager_client_fill_options(fixture, &options);
	fixture->client = pager_client_start(&options, &fixture->err);
	assert_non_null(fixture->client);
	assert_true(pager_client_wait(fixture, &fixture->ready, 1));
	assert_int_equal(fixture->ready_error, -EINVAL);
	assert_non_null(strstr(fixture->text, "memory file 0: has 65536 bytes"));
}

static void addresses_that_make_no_sense_fail_the_worker(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	const uint64_t bad[][REGIONS] = {
		{0, 1U << 30},
		{17, 1U << 30},
		{1U << 30, (1U << 30) + PAGE},
		{1U << 30, UINT64_MAX - PAGE + 1},
		{1U << 30, UINT64_C(1) << 47},
	};

	pager_client_start_serving(fixture);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pager_client_add_process(fixture->client, "liar",
							  dup(fixture->device), bad[i], REGIONS,
							  &fixture->err),
				 -EPROTO);
	assert_int_equal(pager_client_add_process(fixture->client, "liar", dup(fixture->device),
						  bad[0], 1, &fixture->err),
			 -EPROTO);
}

static void something_that_is_no_userfaultfd_fails_the_worker_later(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	const uint64_t addresses[REGIONS] = {1U << 30, 2U << 30};

	pager_client_start_serving(fixture);
	assert_int_equal(pager_client_add_process(fixture->client, "liar", dup(fixture->files[0]),
						  addresses, REGIONS, &fixture->err),
			 0);
	assert_true(pager_client_wait(fixture, &fixture->process_failed, 1));
	assert_non_null(strstr(fixture->text, "liar"));
	assert_int_equal(fixture->restarted, 0);
}

/* A guest can make its devices be activated as often as it likes. */
static void a_process_that_comes_again_and_again_is_no_burden(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct guest_memory other = GUEST_MEMORY_INIT;
	uint64_t addresses[REGIONS];
	struct toucher toucher;
	int userfaultfd;

	pager_client_start_serving(fixture);
	userfaultfd = pager_client_map_again(fixture, &other, addresses);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(pager_client_add_process(fixture->client, "again",
							  dup(userfaultfd), addresses, REGIONS,
							  &fixture->err),
				 0);
	close(userfaultfd);
	toucher_begin(fixture, &toucher, &other, 0);
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 1));
	toucher_end(&toucher);
	assert_int_equal(fixture->restarted, 0);
	guest_memory_destroy(&other);
}

static void pages_of_another_size_are_refused(void **state)
{
	struct pager_client_fixture *fixture = *state;
	struct pager_client_options options;

	pager_client_fill_options(fixture, &options);
	options.regions[1].page_bytes = 1U << 30;
	assert_null(pager_client_start(&options, &fixture->err));
	assert_int_equal(fixture->err.code, -EOPNOTSUPP);
}

static void an_index_that_does_not_fit_is_refused(void **state)
{
	struct pager_client_fixture *fixture = *state;
	struct pager_client_options options;

	pager_client_fill_options(fixture, &options);
	options.regions[0].index.checksums_bytes--;
	assert_null(pager_client_start(&options, &fixture->err));
	assert_int_equal(fixture->err.code, -EINVAL);
	pager_client_fill_options(fixture, &options);
	options.regions[1].index.chunk_bytes *= 2;
	assert_null(pager_client_start(&options, &fixture->err));
	assert_int_equal(fixture->err.code, -EINVAL);
}

static void a_backing_file_on_a_disk_is_refused(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct pager_client_options options;
	struct guest_memory on_disk = GUEST_MEMORY_INIT;
	char path[128];
	struct statfs where;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/memory", fixture->folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, (off_t)REGION_BYTES) == 0);
	(void)unlink(path);
	if (fstatfs(fd, &where) == 0 && where.f_type == TMPFS_MAGIC) {
		print_message("skip: /tmp is no disk\n");
		close(fd);
		skip();
	}
	assert_int_equal(guest_memory_add_region(&on_disk, 0, REGION_BYTES, fd, 0, &fixture->err),
			 0);
	pager_client_fill_options(fixture, &options);
	close(options.regions[1].memory_fd);
	options.memory = &on_disk;
	options.region_count = 1;
	assert_null(pager_client_start(&options, &fixture->err));
	assert_int_equal(fixture->err.code, -EOPNOTSUPP);
	guest_memory_destroy(&on_disk);
}

static void memory_of_huge_pages_is_served(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct guest_memory huge = GUEST_MEMORY_INIT;
	struct pager_client_options options;
	struct toucher toucher;

	for (unsigned i = 0; i < REGIONS; i++) {
		int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

		if (fd < 0 || ftruncate(fd, (off_t)REGION_BYTES) < 0 ||
		    guest_memory_add_region(&huge, (uint64_t)i << 32, REGION_BYTES, fd, 0,
					    &fixture->err) < 0) {
			print_message("skip: no 4 huge pages are free\n");
			fd_close(&fd);
			guest_memory_destroy(&huge);
			skip();
		}
	}
	pager_client_start_broker(fixture, NULL);
	pager_client_fill_options(fixture, &options);
	options.memory = &huge;
	for (unsigned i = 0; i < REGIONS; i++)
		options.regions[i].page_bytes = 2U << 20;
	fixture->client = pager_client_start(&options, &fixture->err);
	if (!fixture->client)
		fail_msg("%s", fixture->err.message);
	assert_true(pager_client_wait(fixture, &fixture->ready, 1));
	toucher_begin(fixture, &toucher, &huge, 0);
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 1));
	toucher_end(&toucher);
	pager_client_destroy(fixture->client, pager_client_on_gone, &fixture->gone);
	fixture->client = NULL;
	assert_true(pager_client_wait(fixture, &fixture->gone, 1));
	guest_memory_destroy(&huge);
}

/* The other process keeps a copy of its userfaultfd, as workers do. */
static void complete_memory_needs_no_pager(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct guest_memory others[2] = {GUEST_MEMORY_INIT, GUEST_MEMORY_INIT};
	uint64_t addresses[2][REGIONS];
	struct toucher touchers[3];
	int copies[2];

	pager_client_start_serving(fixture);
	for (unsigned i = 0; i < 2; i++)
		copies[i] = pager_client_map_again(fixture, &others[i], addresses[i]);
	assert_int_equal(pager_client_add_process(fixture->client, "early", dup(copies[0]),
						  addresses[0], REGIONS, &fixture->err),
			 0);
	assert_int_equal(pager_client_prefault(fixture->client, true, &fixture->err), 0);
	assert_true(pager_client_wait(fixture, &fixture->prefault_done, 1));
	pager_client_destroy(fixture->client, pager_client_on_gone, &fixture->gone);
	fixture->client = NULL;
	pager_client_release_process(&fixture->loop, &fixture->memory, dup(copies[1]), addresses[1],
				     REGIONS);
	toucher_begin(fixture, &touchers[0], &others[0], 0);
	toucher_begin(fixture, &touchers[1], &others[1], 0);
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 2));
	toucher_begin(fixture, &touchers[2], &fixture->memory, 0);
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 3));
	for (unsigned i = 0; i < 3; i++)
		toucher_end(&touchers[i]);
	for (unsigned i = 0; i < 2; i++) {
		close(copies[i]);
		guest_memory_destroy(&others[i]);
	}
}

/* The page of somebody else's that is missing must not become zeros for everybody. */
static void what_is_abandoned_becomes_zeros_for_the_core_alone(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct toucher toucher;
	const uint8_t wrong = 0xff;

	pager_client_start_serving(fixture);
	assert_int_equal(pwrite(fixture->files[0], &wrong, 1, 0), 1);
	toucher_begin(fixture, &toucher, &fixture->memory, 0);
	assert_true(pager_client_wait(fixture, &fixture->damaged, 1));
	pager_client_abandon(fixture->client);
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 1));
	(void)pthread_join(toucher.thread, NULL);
	assert_false(toucher.same);
	assert_int_equal(lseek(fixture->memory.regions[0].fd, 0, SEEK_DATA), -1);
}

static void who_waits_goes_on_when_the_client_is_destroyed(void **state)
{
	struct pager_client_fixture *fixture = pager_client_fixture_get(state);
	struct toucher toucher;
	const uint8_t wrong = 0xff;

	pager_client_start_serving(fixture);
	assert_int_equal(pwrite(fixture->files[0], &wrong, 1, 0), 1);
	toucher_begin(fixture, &toucher, &fixture->memory, 0);
	assert_true(pager_client_wait(fixture, &fixture->damaged, 1));
	assert_int_equal(fixture->toucher_done, 0);
	pager_client_destroy(fixture->client, pager_client_on_gone, &fixture->gone);
	fixture->client = NULL;
	assert_true(pager_client_wait(fixture, &fixture->toucher_done, 1));
	(void)pthread_join(toucher.thread, NULL);
	assert_false(toucher.same);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, pager_client_setup, pager_client_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(memory_is_what_was_saved),
		WITH(prefault_makes_memory_complete),
		WITH(another_process_is_served_too),
		WITH(a_pager_that_dies_is_replaced_and_nothing_is_lost),
		WITH(prefault_goes_on_with_the_next_pager),
		WITH(pagers_that_die_again_and_again_are_given_up),
		WITH(without_a_broker_the_owner_is_told),
		WITH(a_pager_that_cannot_be_started_is_told_once),
		WITH(damage_is_told_by_region_and_offset),
		WITH(a_file_of_the_wrong_size_is_refused_before_the_start),
		WITH(addresses_that_make_no_sense_fail_the_worker),
		WITH(something_that_is_no_userfaultfd_fails_the_worker_later),
		WITH(a_process_that_comes_again_and_again_is_no_burden),
		WITH(pages_of_another_size_are_refused),
		WITH(an_index_that_does_not_fit_is_refused),
		WITH(a_backing_file_on_a_disk_is_refused),
		WITH(memory_of_huge_pages_is_served),
		WITH(complete_memory_needs_no_pager),
		WITH(what_is_abandoned_becomes_zeros_for_the_core_alone),
		WITH(who_waits_goes_on_when_the_client_is_destroyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
