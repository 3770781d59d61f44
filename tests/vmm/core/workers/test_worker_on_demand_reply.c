/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that does not register its memory on demand is cut off before it can touch any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/cleanup.h"
#include "vmm/core/workers/worker_device_parts.h"

#define ACTIVATE     BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_ACTIVATE
#define MEMORY_BYTES 65536

/* The core's end is a real worker_device without a process; the other end is the test. */
struct fixture {
	struct worker_device device;
	struct worker_device_context context;
	struct channel *worker;
	struct guest_memory memory;
	Bulkhead__Worker__Configured configured;
	uint32_t queue_size;
	struct error err;

	/* what the worker was asked, and how it answers */
	bool asked_on_demand;
	unsigned asked_fds;
	bool answers_fd;
	size_t answers_addresses;

	/* what came of it */
	int on_demand_result;
	int on_demand_count, activated_count, failed_count;
	int activated_error;
	uint64_t address;
	char text[ERROR_MESSAGE_SIZE];
};

static int worker_on_activate(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Worker__Activate *body = (const void *)message->body;
	Bulkhead__Worker__Activated reply = BULKHEAD__WORKER__ACTIVATED__INIT;
	uint64_t addresses[2] = {0x7f0000000000, 0x7f1000000000};
	struct fixture *fixture = owner;
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC);

	(void)err;
	fixture->asked_on_demand = body->memory_on_demand;
	fixture->asked_fds = message->fd_count;
	reply.region_addresses = addresses;
	reply.n_region_addresses = fixture->answers_addresses;
	return channel_reply(fixture->worker, ACTIVATE, message->id, &reply.base, &fd,
			     fixture->answers_fd, NULL);
}

static const struct channel_row worker_rows[] = {
	{.type = ACTIVATE,
	 .kind = FRAME_REQUEST,
	 .name = "activate",
	 .descriptor = &bulkhead__worker__activate__descriptor,
	 .max_fds = CHANNEL_MAX_FDS,
	 .handler = worker_on_activate},
};

static int on_demand(void *opaque, struct worker_device *device, int userfaultfd,
		     const uint64_t *addresses, size_t count, struct error *err)
{
	struct fixture *fixture = opaque;

	assert_ptr_equal(device, &fixture->device);
	assert_int_equal(count, 1);
	fixture->on_demand_count++;
	fixture->address = addresses[0];
	close(userfaultfd);
	return fixture->on_demand_result == 0
		       ? 0
		       : error_set(err, fixture->on_demand_result, "cannot be served");
}

static void on_failed(void *opaque, struct worker_device *device, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)device;
	fixture->failed_count++;
	(void)snprintf(fixture->text, sizeof(fixture->text), "%s", err->message);
}

static const struct worker_device_events device_events = {
	.failed = on_failed,
	.on_demand = on_demand,
};

static void on_closed(void *owner, const struct error *err)
{
	(void)owner;
	(void)err;
}

static const struct channel_callbacks callbacks = {.closed = on_closed};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct worker_device *device = &fixture->device;
	int pair[2], fd = memfd_create("memory", MFD_CLOEXEC);

	*state = fixture;
	assert_true(fd >= 0 && ftruncate(fd, MEMORY_BYTES) == 0);
	assert_int_equal(
		guest_memory_add_region(&fixture->memory, 0, MEMORY_BYTES, fd, 0, &fixture->err),
		0);
	assert_int_equal(channel_socketpair(pair, &fixture->err), 0);
	(void)snprintf(device->id, sizeof(device->id), "root");
	(void)snprintf(device->kind, sizeof(device->kind), "blk");
	fixture->queue_size = 16;
	bulkhead__worker__configured__init(&fixture->configured);
	fixture->configured.queue_sizes = &fixture->queue_size;
	fixture->configured.n_queue_sizes = 1;
	device->configured = &fixture->configured;
	device->state = WORKER_DEVICE_READY;
	device->inflight_fd = -1;
	device->context = &fixture->context;
	fixture->context.memory = &fixture->memory;
	fixture->context.userfaultfd_device = eventfd(0, EFD_CLOEXEC); /* nobody looks at it */
	fixture->context.events = &device_events;
	fixture->context.opaque = fixture;
	device->channel = channel_new(pair[0], "worker", worker_device_rows,
				      worker_device_row_count, &callbacks, device, &fixture->err);
	fixture->worker =
		channel_new(pair[1], "core", worker_rows, 1, &callbacks, fixture, &fixture->err);
	fixture->answers_fd = true;
	fixture->answers_addresses = 1;
	return device->channel && fixture->worker ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	channel_destroy(fixture->device.channel);
	channel_destroy(fixture->worker);
	fd_close(&fixture->device.inflight_fd);
	fd_close(&fixture->context.userfaultfd_device);
	guest_memory_destroy(&fixture->memory);
	free(fixture);
	return 0;
}

static void on_activated(void *opaque, struct channel_message *message, const struct error *err)
{
	struct fixture *fixture = opaque; /* the device is its first member */

	fixture->activated_count++;
	fixture->activated_error = message ? 0 : err->code;
}

static void activate(struct fixture *fixture)
{
	struct virtio_activation activation = {.features = 1};

	assert_int_equal(worker_request_activate(&fixture->device, &activation, true, on_activated,
						 &fixture->err),
			 0);
	(void)channel_dispatch(fixture->worker, 0);
	for (unsigned i = 0; i < 100 && !fixture->activated_count; i++) {
		struct pollfd ready = {channel_fd(fixture->device.channel), POLLIN, 0};

		(void)poll(&ready, 1, 100);
		(void)channel_dispatch(fixture->device.channel, 0);
	}
	assert_int_equal(fixture->activated_count, 1);
}

static void assert_cut_off(struct fixture *fixture, const char *why)
{
	assert_int_equal(fixture->activated_error, -EPROTO);
	assert_int_equal(fixture->device.state, WORKER_DEVICE_FAILED);
	assert_int_equal(fixture->failed_count, 1);
	assert_non_null(strstr(fixture->text, "blk \"root\""));
	assert_non_null(strstr(fixture->text, why));
}

static void what_a_worker_registered_is_handed_on(void **state)
{
	struct fixture *fixture = *state;

	activate(fixture);
	assert_true(fixture->asked_on_demand);
	assert_int_equal(fixture->asked_fds, 3); /* memory, in-flight log, the device */
	assert_int_equal(fixture->on_demand_count, 1);
	assert_int_equal(fixture->address, 0x7f0000000000);
	assert_int_equal(fixture->activated_error, 0);
	assert_int_equal(fixture->failed_count, 0);
}

static void an_answer_without_a_userfaultfd_fails_the_worker(void **state)
{
	struct fixture *fixture = *state;

	fixture->answers_fd = false;
	activate(fixture);
	assert_int_equal(fixture->on_demand_count, 0);
	assert_cut_off(fixture, "did not register");
}

static void an_answer_about_other_regions_fails_the_worker(void **state)
{
	struct fixture *fixture = *state;

	fixture->answers_addresses = 2;
	activate(fixture);
	assert_int_equal(fixture->on_demand_count, 0);
	assert_cut_off(fixture, "did not register");
}

static void a_worker_that_cannot_be_served_fails(void **state)
{
	struct fixture *fixture = *state;

	fixture->on_demand_result = -EPROTO;
	activate(fixture);
	assert_int_equal(fixture->on_demand_count, 1);
	assert_cut_off(fixture, "cannot be served");
}

static void without_demand_a_descriptor_fails_the_worker(void **state)
{
	struct fixture *fixture = *state;

	fd_close(&fixture->context.userfaultfd_device);
	activate(fixture);
	assert_false(fixture->asked_on_demand);
	assert_cut_off(fixture, "not asked for");
}

static void without_demand_nothing_is_handed_on(void **state)
{
	struct fixture *fixture = *state;

	fd_close(&fixture->context.userfaultfd_device);
	fixture->answers_fd = false;
	fixture->answers_addresses = 0;
	activate(fixture);
	assert_int_equal(fixture->activated_error, 0);
	assert_int_equal(fixture->on_demand_count, 0);
	assert_int_equal(fixture->failed_count, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(what_a_worker_registered_is_handed_on),
		WITH(an_answer_without_a_userfaultfd_fails_the_worker),
		WITH(an_answer_about_other_regions_fails_the_worker),
		WITH(a_worker_that_cannot_be_served_fails),
		WITH(without_demand_a_descriptor_fails_the_worker),
		WITH(without_demand_nothing_is_handed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
