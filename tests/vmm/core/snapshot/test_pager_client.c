/* SPDX-License-Identifier: Apache-2.0 */
/* Memory on demand as the core has it: a real broker, real pagers, a memory file of its own making.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "devworkers/common/on_demand.h"
#include "ipc/cleanup.h"
#include "vmm/core/snapshot/pager_client.h"
#include "vmm/core/workers/channel_watch.h"

#define PAGE	     4096U
#define CHUNK	     ((uint64_t)MEMORY_FILE_CHUNK_BYTES)
#define REGION_BYTES ((uint64_t)4 << 20)
#define REGIONS	     2U
#define WAIT_MS	     20000

struct fixture {
	char folder[64];
	char lock[96];
	uv_loop_t loop;
	uv_timer_t tick;
	struct broker_client *broker;
	struct channel_watch broker_watch;
	int device;
	struct guest_memory source; /* the memory that was saved */
	struct guest_memory memory; /* the memory that is restored */
	struct memory_index indexes[REGIONS];
	int files[REGIONS];
	struct pager_client *client;
	struct pager_client_callbacks callbacks;
	struct error err;

	int watch_closed, gone;
	int ready, damaged, prefault_done, restarted, failed, process_failed;
	int ready_error, toucher_done;
	unsigned damaged_region;
	uint64_t damaged_offset;
	char text[ERROR_MESSAGE_SIZE];
};

/* ---- callbacks ---- */

static void on_ready(void *opaque, const struct error *err)
{
	struct fixture *fixture = opaque;

	fixture->ready++;
	fixture->ready_error = err ? err->code : 0;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%s", err ? err->message : "");
}

static void on_damaged(void *opaque, unsigned region, uint64_t offset, const char *reason)
{
	struct fixture *fixture = opaque;

	fixture->damaged++;
	fixture->damaged_region = region;
	fixture->damaged_offset = offset;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%s", reason);
}

static void on_prefault_done(void *opaque)
{
	((struct fixture *)opaque)->prefault_done++;
}

static void on_restarted(void *opaque, const struct error *err)
{
	(void)err;
	((struct fixture *)opaque)->restarted++;
}

static void on_failed(void *opaque, const struct error *err)
{
	struct fixture *fixture = opaque;

	fixture->failed++;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%s", err->message);
}

static void on_process_failed(void *opaque, const char *name, const struct error *err)
{
	struct fixture *fixture = opaque;

	fixture->process_failed++;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%.100s %.300s", name, err->message);
}

static void on_gone(void *opaque)
{
	(*(int *)opaque)++;
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

/* Run the loop until *counter is at least value. False: not within WAIT_MS. */
static bool wait_for(struct fixture *fixture, const int *counter, int value)
{
	uint64_t deadline_ms = channel_now_ms() + WAIT_MS;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < value && channel_now_ms() < deadline_ms)
		(void)uv_run(&fixture->loop, UV_RUN_ONCE);
	return *counter >= value;
}

/* ---- set-up ---- */

static void make_memory(struct guest_memory *memory)
{
	for (unsigned i = 0; i < REGIONS; i++) {
		int fd = memfd_create("memory", MFD_CLOEXEC);
		struct error err = ERROR_INIT;

		assert_true(fd >= 0 && ftruncate(fd, (off_t)REGION_BYTES) == 0);
		assert_int_equal(guest_memory_add_region(memory, (uint64_t)i << 32, REGION_BYTES,
							 fd, 0, &err),
				 0);
	}
}

/* Every third chunk is a hole; the rest is as a snapshot writes it. */
static void save_memory(struct fixture *fixture)
{
	for (unsigned i = 0; i < REGIONS; i++) {
		struct guest_memory_region *region = &fixture->source.regions[i];
		struct memory_progress progress = {0};

		for (uint64_t at = 0; at < REGION_BYTES; at += sizeof(uint64_t))
			if (at / CHUNK % 3 != 1)
				*(uint64_t *)(void *)(region->hva + at) = at * 31 + i + 1;
		fixture->files[i] = memfd_create("memory-region", MFD_CLOEXEC);
		assert_int_equal(memory_file_write(region, fixture->files[i], &fixture->indexes[i],
						   &progress, &fixture->err),
				 0);
	}
}

static void start_broker(struct fixture *fixture, const char *worker_folder)
{
	const char *build = getenv("BULKHEAD_BUILD");
	char program[256];
	const struct broker_start_options options = {
		.program = program,
		.log_fd = 2,
		.log_level = LOG_LEVEL_WARNING,
		.uid_lock_path = fixture->lock,
		.worker_folder = worker_folder,
	};

	(void)snprintf(program, sizeof(program), "%s/bin/bulkhead-broker", build ? build : "build");
	fixture->broker = broker_client_start(&options, NULL, NULL, &fixture->err);
	if (!fixture->broker)
		fail_msg("%s", fixture->err.message);
	assert_int_equal(channel_watch_start(&fixture->broker_watch, &fixture->loop,
					     broker_client_channel(fixture->broker), &fixture->err),
			 0);
	broker_client_set_watch(fixture->broker, &fixture->broker_watch);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	fixture->callbacks = (struct pager_client_callbacks){
		on_ready, on_damaged, on_prefault_done, on_restarted, on_failed, on_process_failed,
	};
	fixture->device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (fixture->device < 0) {
		print_message("skip: /dev/userfaultfd cannot be opened: %s\n", strerror(errno));
		free(fixture);
		skip();
	}
	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/bulkhead-pager-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	(void)snprintf(fixture->lock, sizeof(fixture->lock), "%s/lock", fixture->folder);
	(void)uv_loop_init(&fixture->loop);
	(void)uv_timer_init(&fixture->loop, &fixture->tick);
	(void)uv_timer_start(&fixture->tick, on_tick, 20, 20);
	make_memory(&fixture->source);
	make_memory(&fixture->memory);
	save_memory(fixture);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	pager_client_destroy(fixture->client, on_gone, &fixture->gone);
	(void)wait_for(fixture, &fixture->gone, 1);
	if (fixture->broker) {
		(void)broker_client_shutdown(fixture->broker, WAIT_MS, NULL);
		broker_client_set_watch(fixture->broker, NULL);
		channel_watch_close(&fixture->broker_watch, on_gone, &fixture->watch_closed);
		(void)wait_for(fixture, &fixture->watch_closed, 1);
		broker_client_destroy(fixture->broker);
	}
	uv_close((uv_handle_t *)&fixture->tick, NULL);
	(void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	guest_memory_destroy(&fixture->source);
	guest_memory_destroy(&fixture->memory);
	for (unsigned i = 0; i < REGIONS; i++) {
		memory_index_destroy(&fixture->indexes[i]);
		fd_close(&fixture->files[i]);
	}
	fd_close(&fixture->device);
	(void)unlink(fixture->lock);
	(void)rmdir(fixture->folder);
	free(fixture);
	return 0;
}

static void fill_options(struct fixture *fixture, struct pager_client_options *options)
{
	*options = (struct pager_client_options){
		.loop = &fixture->loop,
		.broker = fixture->broker,
		.memory = &fixture->memory,
		.userfaultfd_device = fixture->device,
		.region_count = REGIONS,
		.callbacks = &fixture->callbacks,
		.opaque = fixture,
	};
	for (unsigned i = 0; i < REGIONS; i++)
		options->regions[i] = (struct pager_client_region){PAGE, fixture->indexes[i],
								   dup(fixture->files[i])};
}

static void start(struct fixture *fixture)
{
	struct pager_client_options options;

	start_broker(fixture, NULL);
	fill_options(fixture, &options);
	fixture->client = pager_client_start(&options, &fixture->err);
	if (!fixture->client)
		fail_msg("%s", fixture->err.message);
	assert_true(wait_for(fixture, &fixture->ready, 1));
	if (fixture->ready_error)
		fail_msg("%s", fixture->text);
}

/* ---- who touches memory: never the loop's thread ---- */

struct toucher {
	struct fixture *fixture;
	const struct guest_memory *memory;
	unsigned pause_us; /* between chunks */
	bool same;
	pthread_t thread;
};

static void *touch(void *opaque)
{
	struct toucher *toucher = opaque;
	struct fixture *fixture = toucher->fixture;

	toucher->same = true;
	for (unsigned i = 0; i < REGIONS; i++)
		for (uint64_t at = 0; at < REGION_BYTES; at += CHUNK) {
			toucher->same &= memcmp(toucher->memory->regions[i].hva + at,
						fixture->source.regions[i].hva + at, CHUNK) == 0;
			if (toucher->pause_us)
				(void)usleep(toucher->pause_us);
		}
	__atomic_add_fetch(&fixture->toucher_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void touch_begin(struct fixture *fixture, struct toucher *toucher,
			const struct guest_memory *memory, unsigned pause_us)
{
	*toucher = (struct toucher){.fixture = fixture, .memory = memory, .pause_us = pause_us};
	assert_int_equal(pthread_create(&toucher->thread, NULL, touch, toucher), 0);
}

static void touch_end(struct toucher *toucher)
{
	(void)pthread_join(toucher->thread, NULL);
	assert_true(toucher->same);
}

static void kill_pager(const struct fixture *fixture)
{
	int32_t pid = pager_client_pid(fixture->client);

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

/* A second mapping with a userfaultfd of its own stands for another process. */
static int map_again(struct fixture *fixture, struct guest_memory *other, uint64_t *addresses)
{
	int userfaultfd;

	for (unsigned i = 0; i < REGIONS; i++) {
		assert_int_equal(guest_memory_add_region(other, (uint64_t)i << 32, REGION_BYTES,
							 dup(fixture->memory.regions[i].fd), 0,
							 &fixture->err),
				 0);
		addresses[i] = (uintptr_t)other->regions[i].hva;
	}
	userfaultfd = on_demand_register(other, fixture->device, &fixture->err);
	assert_true(userfaultfd >= 0);
	return userfaultfd;
}

/* ---- tests ---- */

static void memory_is_what_was_saved(void **state)
{
	struct fixture *fixture = *state;
	struct toucher toucher;

	start(fixture);
	touch_begin(fixture, &toucher, &fixture->memory, 0);
	assert_true(wait_for(fixture, &fixture->toucher_done, 1));
	touch_end(&toucher);
	assert_false(pager_client_is_complete(fixture->client));
}

static void prefault_makes_memory_complete(void **state)
{
	struct fixture *fixture = *state;
	struct pager_client_stats stats;

	start(fixture);
	assert_int_equal(pager_client_prefault(fixture->client, true, &fixture->err), 0);
	assert_true(wait_for(fixture, &fixture->prefault_done, 1));
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
	struct fixture *fixture = *state;
	struct guest_memory other = GUEST_MEMORY_INIT;
	uint64_t addresses[REGIONS];
	struct toucher toucher;
	int userfaultfd;

	start(fixture);
	userfaultfd = map_again(fixture, &other, addresses);
	assert_int_equal(pager_client_add_process(fixture->client, "blk \"root\"", userfaultfd,
						  addresses, REGIONS, &fixture->err),
			 0);
	touch_begin(fixture, &toucher, &other, 0);
	assert_true(wait_for(fixture, &fixture->toucher_done, 1));
	touch_end(&toucher);
	pager_client_remove_process(fixture->client, "blk \"root\"");
	guest_memory_destroy(&other);
}

static void a_pager_that_dies_is_replaced_and_nothing_is_lost(void **state)
{
	struct fixture *fixture = *state;
	struct guest_memory other = GUEST_MEMORY_INIT;
	struct toucher touchers[2];
	struct pager_client_stats stats;
	uint64_t addresses[REGIONS];

	start(fixture);
	assert_int_equal(pager_client_add_process(fixture->client, "other",
						  map_again(fixture, &other, addresses), addresses,
						  REGIONS, &fixture->err),
			 0);
	touch_begin(fixture, &touchers[0], &fixture->memory, 2000);
	touch_begin(fixture, &touchers[1], &other, 1500);
	for (int round = 1; round <= 4; round++) {
		kill_pager(fixture);
		assert_true(wait_for(fixture, &fixture->restarted, round));
	}
	assert_true(wait_for(fixture, &fixture->toucher_done, 2));
	touch_end(&touchers[0]);
	touch_end(&touchers[1]);
	pager_client_stats(fixture->client, &stats);
	assert_int_equal(stats.restarts, 4);
	assert_int_equal(fixture->failed, 0);
	guest_memory_destroy(&other);
}

static void prefault_goes_on_with_the_next_pager(void **state)
{
	struct fixture *fixture = *state;

	start(fixture);
	kill_pager(fixture);
	assert_int_equal(pager_client_prefault(fixture->client, true, &fixture->err), 0);
	assert_true(wait_for(fixture, &fixture->prefault_done, 1));
	assert_int_equal(fixture->restarted, 1);
}

static void pagers_that_die_again_and_again_are_given_up(void **state)
{
	struct fixture *fixture = *state;

	start(fixture);
	for (int round = 1; round <= 5; round++) {
		kill_pager(fixture);
		assert_true(wait_for(fixture, &fixture->restarted, round));
	}
	kill_pager(fixture);
	assert_true(wait_for(fixture, &fixture->failed, 1));
	assert_non_null(strstr(fixture->text, "6 times"));
	assert_int_equal(pager_client_pid(fixture->client), 0);
}

static void without_a_broker_the_owner_is_told(void **state)
{
	struct fixture *fixture = *state;

	start(fixture);
	assert_int_equal(broker_client_shutdown(fixture->broker, WAIT_MS, &fixture->err), 0);
	assert_true(wait_for(fixture, &fixture->failed, 1));
}

static void a_pager_that_cannot_be_started_is_told_once(void **state)
{
	struct fixture *fixture = *state;
	struct pager_client_options options;

	start_broker(fixture, fixture->folder); /* no program is in there */
	fill_options(fixture, &options);
	fixture->client = pager_client_start(&options, &fixture->err);
	assert_non_null(fixture->client);
	assert_true(wait_for(fixture, &fixture->ready, 1));
	assert_int_not_equal(fixture->ready_error, 0);
	assert_non_null(strstr(fixture->text, "bulkhead-pager is not installed"));
	assert_int_equal(fixture->failed, 0);
}

static void damage_is_told_by_region_and_offset(void **state)
{
	struct fixture *fixture = *state;
	struct guest_memory other = GUEST_MEMORY_INIT;
	const uint8_t wrong = 0xff;

	(void)other;
	start(fixture);
	assert_int_equal(pwrite(fixture->files[1], &wrong, 1, (off_t)(5 * CHUNK + 9)), 1);
	assert_int_equal(pager_client_prefault(fixture->client, true, &fixture->err), 0);
	assert_true(wait_for(fixture, &fixture->damaged, 1));
	assert_int_equal(fixture->damaged_region, 1);
	assert_int_equal(fixture->damaged_offset, 5 * CHUNK);
	assert_int_equal(fixture->prefault_done, 0);
}

static void a_file_of_the_wrong_size_is_refused_before_the_start(void **state)
{
	struct fixture *fixture = *state;
	struct pager_client_options options;

	start_broker(fixture, NULL);
	assert_int_equal(ftruncate(fixture->files[0], (off_t)CHUNK), 0);
	fill_options(fixture, &options);
	fixture->client = pager_client_start(&options, &fixture->err);
	assert_non_null(fixture->client);
	assert_true(wait_for(fixture, &fixture->ready, 1));
	assert_int_equal(fixture->ready_error, -EINVAL);
	assert_non_null(strstr(fixture->text, "memory file 0: has 65536 bytes"));
}

static void addresses_that_make_no_sense_fail_the_worker(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t bad[][REGIONS] = {
		{0, 1U << 30},
		{17, 1U << 30},
		{1U << 30, (1U << 30) + PAGE},
		{1U << 30, UINT64_MAX - PAGE + 1},
		{1U << 30, UINT64_C(1) << 47},
	};

	start(fixture);
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
	struct fixture *fixture = *state;
	const uint64_t addresses[REGIONS] = {1U << 30, 2U << 30};

	start(fixture);
	assert_int_equal(pager_client_add_process(fixture->client, "liar", dup(fixture->files[0]),
						  addresses, REGIONS, &fixture->err),
			 0);
	assert_true(wait_for(fixture, &fixture->process_failed, 1));
	assert_non_null(strstr(fixture->text, "liar"));
	assert_int_equal(fixture->restarted, 0);
}

/* A guest can make its devices be activated as often as it likes. */
static void a_process_that_comes_again_and_again_is_no_burden(void **state)
{
	struct fixture *fixture = *state;
	struct guest_memory other = GUEST_MEMORY_INIT;
	uint64_t addresses[REGIONS];
	struct toucher toucher;
	int userfaultfd;

	start(fixture);
	userfaultfd = map_again(fixture, &other, addresses);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(pager_client_add_process(fixture->client, "again",
							  dup(userfaultfd), addresses, REGIONS,
							  &fixture->err),
				 0);
	close(userfaultfd);
	touch_begin(fixture, &toucher, &other, 0);
	assert_true(wait_for(fixture, &fixture->toucher_done, 1));
	touch_end(&toucher);
	assert_int_equal(fixture->restarted, 0);
	guest_memory_destroy(&other);
}

static void what_cannot_be_served_is_refused_by_name(void **state)
{
	struct fixture *fixture = *state;
	struct pager_client_options options;
	struct guest_memory on_disk = GUEST_MEMORY_INIT;
	char path[128];
	struct statfs where;
	int fd;

	start_broker(fixture, NULL);
	fill_options(fixture, &options);
	options.regions[1].page_bytes = 1U << 30;
	assert_null(pager_client_start(&options, &fixture->err));
	assert_int_equal(fixture->err.code, -EOPNOTSUPP);
	fill_options(fixture, &options);
	options.regions[0].index.checksums_bytes--;
	assert_null(pager_client_start(&options, &fixture->err));
	assert_int_equal(fixture->err.code, -EINVAL);

	(void)snprintf(path, sizeof(path), "%s/memory", fixture->folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, (off_t)REGION_BYTES) == 0);
	(void)unlink(path);
	if (fstatfs(fd, &where) == 0 && where.f_type == TMPFS_MAGIC) {
		close(fd);
		return; /* where it can be served */
	}
	assert_int_equal(guest_memory_add_region(&on_disk, 0, REGION_BYTES, fd, 0, &fixture->err),
			 0);
	fill_options(fixture, &options);
	close(options.regions[1].memory_fd);
	options.memory = &on_disk;
	options.region_count = 1;
	assert_null(pager_client_start(&options, &fixture->err));
	assert_int_equal(fixture->err.code, -EOPNOTSUPP);
	guest_memory_destroy(&on_disk);
}

static void memory_of_huge_pages_is_served(void **state)
{
	struct fixture *fixture = *state;
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
	start_broker(fixture, NULL);
	fill_options(fixture, &options);
	options.memory = &huge;
	for (unsigned i = 0; i < REGIONS; i++)
		options.regions[i].page_bytes = 2U << 20;
	fixture->client = pager_client_start(&options, &fixture->err);
	if (!fixture->client)
		fail_msg("%s", fixture->err.message);
	assert_true(wait_for(fixture, &fixture->ready, 1));
	touch_begin(fixture, &toucher, &huge, 0);
	assert_true(wait_for(fixture, &fixture->toucher_done, 1));
	touch_end(&toucher);
	pager_client_destroy(fixture->client, on_gone, &fixture->gone);
	fixture->client = NULL;
	assert_true(wait_for(fixture, &fixture->gone, 1));
	guest_memory_destroy(&huge);
}

static void who_waits_goes_on_when_the_client_is_destroyed(void **state)
{
	struct fixture *fixture = *state;
	struct toucher toucher;
	const uint8_t wrong = 0xff;

	start(fixture);
	assert_int_equal(pwrite(fixture->files[0], &wrong, 1, 0), 1);
	touch_begin(fixture, &toucher, &fixture->memory, 0);
	assert_true(wait_for(fixture, &fixture->damaged, 1));
	assert_int_equal(fixture->toucher_done, 0);
	pager_client_destroy(fixture->client, on_gone, &fixture->gone);
	fixture->client = NULL;
	assert_true(wait_for(fixture, &fixture->toucher_done, 1));
	(void)pthread_join(toucher.thread, NULL);
	assert_false(toucher.same);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
		WITH(what_cannot_be_served_is_refused_by_name),
		WITH(memory_of_huge_pages_is_served),
		WITH(who_waits_goes_on_when_the_client_is_destroyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
