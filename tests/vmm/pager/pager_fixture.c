/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/pager/pager_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devworkers/common/on_demand.h"
#include "ipc/cleanup.h"

#define MESSAGE(name) BULKHEAD__PAGER__MESSAGE_TYPE__MESSAGE_##name

static int on_damaged(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Pager__Damaged *body = (const void *)message->body;
	struct pager_fixture *fixture = owner;

	(void)err;
	fixture->damaged_count++;
	fixture->damaged_offset = body->offset;
	(void)snprintf(fixture->reason, sizeof(fixture->reason), "%s", body->reason);
	return 0;
}

static int on_prefault_done(void *owner, struct channel_message *message, struct error *err)
{
	struct pager_fixture *fixture = owner;

	(void)message;
	(void)err;
	fixture->prefault_done_count++;
	return 0;
}

static int on_process_failed(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Pager__ProcessFailed *body = (const void *)message->body;
	struct pager_fixture *fixture = owner;

	(void)err;
	fixture->process_failed_count++;
	fixture->failed_process = body->process;
	(void)snprintf(fixture->reason, sizeof(fixture->reason), "%s", body->reason);
	return 0;
}

static void on_closed(void *owner, const struct error *err)
{
	struct pager_fixture *fixture = owner;

	(void)err;
	fixture->closed_count++;
}

static const struct channel_callbacks callbacks = {.closed = on_closed};

static const struct channel_row rows[] = {
	{.type = MESSAGE(CONFIGURE), .kind = FRAME_REPLY, .name = "configure"},
	{.type = MESSAGE(ADD_PROCESS), .kind = FRAME_REPLY, .name = "add-process"},
	{.type = MESSAGE(REMOVE_PROCESS), .kind = FRAME_REPLY, .name = "remove-process"},
	{.type = MESSAGE(PREFAULT), .kind = FRAME_REPLY, .name = "prefault"},
	{.type = MESSAGE(STATS),
	 .kind = FRAME_REPLY,
	 .name = "stats",
	 .descriptor = &bulkhead__pager__stats__descriptor},
	{.type = MESSAGE(DAMAGED),
	 .kind = FRAME_EVENT,
	 .name = "damaged",
	 .descriptor = &bulkhead__pager__damaged__descriptor,
	 .handler = on_damaged},
	{.type = MESSAGE(PREFAULT_DONE),
	 .kind = FRAME_EVENT,
	 .name = "prefault-done",
	 .descriptor = &bulkhead__pager__empty__descriptor,
	 .handler = on_prefault_done},
	{.type = MESSAGE(PROCESS_FAILED),
	 .kind = FRAME_EVENT,
	 .name = "process-failed",
	 .descriptor = &bulkhead__pager__process_failed__descriptor,
	 .handler = on_process_failed},
};

static int call(struct pager_fixture *fixture, uint16_t type, const ProtobufCMessage *body,
		const int *fds, unsigned fd_count, ProtobufCMessage **reply, struct error *err)
{
	ProtobufCMessage *answer = NULL;
	int ret = channel_call_sync(fixture->channel, type, body, fds, fd_count, FIXTURE_WAIT_MS,
				    &answer, NULL, NULL, err);

	if (ret == 0 && reply)
		*reply = answer;
	else if (ret == 0 && answer)
		protobuf_c_message_free_unpacked(answer, NULL);
	return ret;
}

int pager_fixture_launch(struct pager_fixture *fixture, struct error *err)
{
	const char *build = getenv("BULKHEAD_BUILD");
	char program[256];
	const struct launch_options options = {.program = program};

	(void)snprintf(program, sizeof(program), "%s/bin/bulkhead-pager", build ? build : "build");
	if (worker_launch(&options, &fixture->process, err) < 0)
		return err->code;
	fixture->channel = channel_new(fixture->process.core_fd, "pager", rows,
				       sizeof(rows) / sizeof(rows[0]), &callbacks, fixture, err);
	return fixture->channel ? 0 : err->code;
}

int pager_fixture_start(struct pager_fixture *fixture, struct error *err)
{
	Bulkhead__Pager__Configure body = BULKHEAD__PAGER__CONFIGURE__INIT;
	Bulkhead__Pager__Region region = BULKHEAD__PAGER__REGION__INIT;
	Bulkhead__Pager__Region *regions[] = {&region};
	cleanup_fd int index_fd = saved_memory_index_file(&fixture->saved);
	const int fds[] = {index_fd, fixture->userfaultfd, fixture->saved.fd};
	int ret = pager_fixture_launch(fixture, err);

	if (ret < 0)
		return ret;
	region.guest_physical_address = fixture->memory.regions[0].gpa;
	region.size_bytes = FIXTURE_BYTES;
	region.chunk_bytes = FIXTURE_CHUNK_BYTES;
	region.page_bytes = FIXTURE_PAGE;
	region.core_address = (uintptr_t)fixture->memory.regions[0].hva;
	body.regions = regions;
	body.n_regions = 1;
	body.complete = fixture->complete;
	return call(fixture, MESSAGE(CONFIGURE), &body.base, fds, 3, NULL, err);
}

void pager_fixture_kill(struct pager_fixture *fixture)
{
	(void)worker_launch_reap(&fixture->process, 0);
	channel_destroy(fixture->channel);
	fixture->channel = NULL;
}

struct pager_fixture *pager_fixture_get(void **state)
{
	struct pager_fixture *fixture = *state;

	if (fixture->device < 0) {
		print_message("skip: /dev/userfaultfd cannot be opened\n");
		skip();
	}
	return fixture;
}

int pager_fixture_setup(void **state)
{
	struct pager_fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err = ERROR_INIT;
	int memory_fd;

	*state = fixture;
	fixture->userfaultfd = -1;
	fixture->device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	saved_memory_make(&fixture->saved, FIXTURE_CHUNKS, FIXTURE_CHUNK_BYTES);
	memory_fd = memfd_create("memory", MFD_CLOEXEC);
	if (memory_fd < 0 || ftruncate(memory_fd, (off_t)FIXTURE_BYTES) < 0 ||
	    guest_memory_add_region(&fixture->memory, 0, FIXTURE_BYTES, memory_fd, 0, &err) < 0)
		return -1;
	if (fixture->device < 0)
		return 0;
	fixture->userfaultfd = on_demand_register(&fixture->memory, fixture->device, &err);
	if (fixture->userfaultfd < 0)
		print_error("%s\n", err.message);
	return fixture->userfaultfd < 0 ? -1 : 0;
}

int pager_fixture_setup_serving(void **state)
{
	struct error err = ERROR_INIT;

	struct pager_fixture *fixture;

	if (pager_fixture_setup(state) < 0)
		return -1;
	fixture = *state;
	if (fixture->device < 0 || pager_fixture_start(fixture, &err) == 0)
		return 0;
	print_error("%s\n", err.message);
	return -1;
}

int pager_fixture_teardown(void **state)
{
	struct pager_fixture *fixture = *state;
	int violation = -1, status = 0;

	if (fixture->channel) {
		violation = worker_launch_violation(&fixture->process);
		channel_destroy(fixture->channel);
		status = worker_launch_reap(&fixture->process, 2000);
	}
	if (violation >= 0)
		print_error("the pager tried the forbidden system call %d\n", violation);
	fd_close(&fixture->userfaultfd);
	fd_close(&fixture->device);
	guest_memory_destroy(&fixture->memory);
	saved_memory_destroy(&fixture->saved);
	free(fixture);
	return status;
}

int pager_fixture_add(struct pager_fixture *fixture, uint32_t process, int userfaultfd,
		      uint64_t address, struct error *err)
{
	Bulkhead__Pager__AddProcess body = BULKHEAD__PAGER__ADD_PROCESS__INIT;
	char name[32];

	(void)snprintf(name, sizeof(name), "process %u", process);
	body.process = process;
	body.name = name;
	body.region_addresses = &address;
	body.n_region_addresses = 1;
	return call(fixture, MESSAGE(ADD_PROCESS), &body.base, &userfaultfd, 1, NULL, err);
}

void pager_fixture_remove(struct pager_fixture *fixture, uint32_t process)
{
	Bulkhead__Pager__RemoveProcess body = BULKHEAD__PAGER__REMOVE_PROCESS__INIT;

	body.process = process;
	assert_int_equal(call(fixture, MESSAGE(REMOVE_PROCESS), &body.base, NULL, 0, NULL, NULL),
			 0);
}

void pager_fixture_prefault(struct pager_fixture *fixture, bool start)
{
	Bulkhead__Pager__Prefault body = BULKHEAD__PAGER__PREFAULT__INIT;

	body.start = start;
	assert_int_equal(call(fixture, MESSAGE(PREFAULT), &body.base, NULL, 0, NULL, NULL), 0);
}

void pager_fixture_stats(struct pager_fixture *fixture, Bulkhead__Pager__Stats *stats)
{
	ProtobufCMessage *reply = NULL;

	assert_int_equal(call(fixture, MESSAGE(STATS), NULL, NULL, 0, &reply, NULL), 0);
	*stats = *(const Bulkhead__Pager__Stats *)reply;
	protobuf_c_message_free_unpacked(reply, NULL);
}

bool pager_fixture_wait(struct pager_fixture *fixture, const int *counter)
{
	uint64_t deadline_ms = channel_now_ms() + FIXTURE_WAIT_MS;

	while (!*counter && channel_now_ms() < deadline_ms && channel_fd(fixture->channel) >= 0) {
		struct pollfd ready = {channel_fd(fixture->channel), POLLIN, 0};

		(void)poll(&ready, 1, 100);
		(void)channel_dispatch(fixture->channel, 0);
	}
	return *counter;
}

bool pager_fixture_has_page(const struct pager_fixture *fixture, uint64_t offset)
{
	return lseek(fixture->memory.regions[0].fd, (off_t)offset, SEEK_DATA) == (off_t)offset;
}
