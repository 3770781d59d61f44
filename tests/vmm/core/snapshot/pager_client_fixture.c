/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/snapshot/pager_client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devworkers/common/on_demand.h"
#include "ipc/cleanup.h"
#include "tests/support/scratch_folder.h"

/* ---- callbacks ---- */

static void on_ready(void *opaque, const struct error *err)
{
	struct pager_client_fixture *fixture = opaque;

	fixture->ready++;
	fixture->ready_error = err ? err->code : 0;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%s", err ? err->message : "");
}

static void on_damaged(void *opaque, unsigned region, uint64_t offset, const char *reason)
{
	struct pager_client_fixture *fixture = opaque;

	fixture->damaged++;
	fixture->damaged_region = region;
	fixture->damaged_offset = offset;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%s", reason);
}

static void on_prefault_done(void *opaque)
{
	((struct pager_client_fixture *)opaque)->prefault_done++;
}

static void on_restarted(void *opaque, const struct error *err)
{
	(void)err;
	((struct pager_client_fixture *)opaque)->restarted++;
}

static void on_failed(void *opaque, const struct error *err)
{
	struct pager_client_fixture *fixture = opaque;

	fixture->failed++;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%s", err->message);
}

static void on_process_failed(void *opaque, const char *name, const struct error *err)
{
	struct pager_client_fixture *fixture = opaque;

	fixture->process_failed++;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%.100s %.300s", name, err->message);
}

void pager_client_on_gone(void *opaque)
{
	(*(int *)opaque)++;
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

bool pager_client_wait(struct pager_client_fixture *fixture, const int *counter, int value)
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
static void save_memory(struct pager_client_fixture *fixture)
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

void pager_client_start_broker(struct pager_client_fixture *fixture, const char *worker_folder)
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

struct pager_client_fixture *pager_client_fixture_get(void **state)
{
	struct pager_client_fixture *fixture = *state;

	if (fixture->device < 0) {
		print_message("skip: /dev/userfaultfd cannot be opened\n");
		skip();
	}
	return fixture;
}

int pager_client_setup(void **state)
{
	struct pager_client_fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	fixture->callbacks = (struct pager_client_callbacks){
		on_ready, on_damaged, on_prefault_done, on_restarted, on_failed, on_process_failed,
	};
	fixture->device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	scratch_folder_make("pager", fixture->folder, sizeof(fixture->folder));
	(void)snprintf(fixture->lock, sizeof(fixture->lock), "%s/lock", fixture->folder);
	(void)uv_loop_init(&fixture->loop);
	(void)uv_timer_init(&fixture->loop, &fixture->tick);
	(void)uv_timer_start(&fixture->tick, on_tick, 20, 20);
	make_memory(&fixture->source);
	make_memory(&fixture->memory);
	save_memory(fixture);
	return 0;
}

int pager_client_teardown(void **state)
{
	struct pager_client_fixture *fixture = *state;

	pager_client_destroy(fixture->client, pager_client_on_gone, &fixture->gone);
	(void)pager_client_wait(fixture, &fixture->gone, 1);
	if (fixture->broker) {
		(void)broker_client_shutdown(fixture->broker, WAIT_MS, NULL);
		broker_client_set_watch(fixture->broker, NULL);
		channel_watch_close(&fixture->broker_watch, pager_client_on_gone,
				    &fixture->watch_closed);
		(void)pager_client_wait(fixture, &fixture->watch_closed, 1);
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

void pager_client_fill_options(struct pager_client_fixture *fixture,
			       struct pager_client_options *options)
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

void pager_client_start_serving(struct pager_client_fixture *fixture)
{
	struct pager_client_options options;

	pager_client_start_broker(fixture, NULL);
	pager_client_fill_options(fixture, &options);
	fixture->client = pager_client_start(&options, &fixture->err);
	if (!fixture->client)
		fail_msg("%s", fixture->err.message);
	assert_true(pager_client_wait(fixture, &fixture->ready, 1));
	if (fixture->ready_error)
		fail_msg("%s", fixture->text);
}

/* ---- who touches memory: never the loop's thread ---- */

static void *touch(void *opaque)
{
	struct toucher *toucher = opaque;
	struct pager_client_fixture *fixture = toucher->fixture;

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

void toucher_begin(struct pager_client_fixture *fixture, struct toucher *toucher,
		   const struct guest_memory *memory, unsigned pause_us)
{
	*toucher = (struct toucher){.fixture = fixture, .memory = memory, .pause_us = pause_us};
	assert_int_equal(pthread_create(&toucher->thread, NULL, touch, toucher), 0);
}

void toucher_end(struct toucher *toucher)
{
	(void)pthread_join(toucher->thread, NULL);
	assert_true(toucher->same);
}

void pager_client_kill(const struct pager_client_fixture *fixture)
{
	int32_t pid = pager_client_pid(fixture->client);

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

int pager_client_map_again(struct pager_client_fixture *fixture, struct guest_memory *other,
			   uint64_t *addresses)
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
