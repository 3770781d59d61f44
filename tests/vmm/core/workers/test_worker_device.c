/* SPDX-License-Identifier: Apache-2.0 */
/* A device that comes and goes, with the real broker and a real worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "devworkers/common/guest_memory.h"
#include "proto/rng.pb-c.h"
#include "vmm/core/workers/channel_watch.h"
#include "vmm/core/workers/worker_device.h"

#define WAIT_MS 20000

struct fixture {
	char lock[64];
	uv_loop_t loop;
	struct task_queue tasks;
	uv_timer_t limit;
	struct broker_client *broker;
	struct channel_watch watch;
	struct guest_memory memory;
	struct worker_device_context context;
	int ready_count, failed_count, gone_count, exited_count;
	bool late;
};

static void on_ready(void *opaque, struct worker_device *device, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)device;
	fixture->ready_count++;
	fixture->failed_count += err != NULL;
}

static void on_failed(void *opaque, struct worker_device *device, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)device;
	(void)err;
	fixture->failed_count++;
}

static const struct worker_device_events device_events = {.ready = on_ready, .failed = on_failed};

static void on_exited(void *opaque, int32_t pid, const char *device_id, int32_t exit_status,
		      int32_t signal_number)
{
	struct fixture *fixture = opaque;

	(void)pid;
	(void)device_id;
	(void)exit_status;
	(void)signal_number;
	fixture->exited_count++;
}

static const struct broker_events broker_events = {.exited = on_exited};

static void on_gone(void *opaque)
{
	((struct fixture *)opaque)->gone_count++;
}

static void on_limit(uv_timer_t *timer)
{
	((struct fixture *)timer->data)->late = true;
}

/* Run the loop until *counter has the value, or for so long. */
static void run_until(struct fixture *fixture, const int *counter, int value, uint64_t limit_ms)
{
	fixture->late = false;
	uv_timer_start(&fixture->limit, on_limit, limit_ms, 0);
	while (*counter < value && !fixture->late)
		uv_run(&fixture->loop, UV_RUN_ONCE);
	uv_timer_stop(&fixture->limit);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct broker_start_options options = {.log_fd = 2, .log_level = LOG_LEVEL_WARNING};
	const char *build = getenv("BULKHEAD_BUILD");
	struct error err = ERROR_INIT;
	char program[256];
	int lock_fd;

	*state = fixture;
	(void)snprintf(fixture->lock, sizeof(fixture->lock), "/tmp/bulkhead-lock-XXXXXX");
	lock_fd = mkstemp(fixture->lock);
	close(lock_fd);
	(void)snprintf(program, sizeof(program), "%s/bin/bulkhead-broker", build ? build : "build");
	options.program = program;
	options.uid_lock_path = fixture->lock;
	fixture->broker = broker_client_start(&options, &broker_events, fixture, &err);
	if (!fixture->broker)
		print_message("%s\n", err.message);
	if (!fixture->broker || uv_loop_init(&fixture->loop) < 0 ||
	    task_queue_init(&fixture->tasks, &fixture->loop) < 0)
		return -1;
	uv_timer_init(&fixture->loop, &fixture->limit);
	fixture->limit.data = fixture;
	fixture->context = (struct worker_device_context){
		.loop = &fixture->loop,
		.tasks = &fixture->tasks,
		.broker = fixture->broker,
		.memory = &fixture->memory,
		.log_fd = 2,
		.userfaultfd_device = -1,
		.events = &device_events,
		.opaque = fixture,
	};
	return channel_watch_start(&fixture->watch, &fixture->loop,
				   broker_client_channel(fixture->broker), &err);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	channel_watch_close(&fixture->watch, NULL, NULL);
	uv_close((uv_handle_t *)&fixture->limit, NULL);
	uv_close((uv_handle_t *)&fixture->tasks.async, NULL);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	(void)broker_client_shutdown(fixture->broker, WAIT_MS, NULL);
	broker_client_destroy(fixture->broker);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	(void)unlink(fixture->lock);
	free(fixture);
	return 0;
}

static struct worker_device *start_device(struct fixture *fixture)
{
	const struct worker_device_options options = {
		.id = "r0", .kind = "rng", .virtio_device_id = 4};
	struct error err = ERROR_INIT;
	struct worker_device *device = worker_device_new(&options, &fixture->context, &err);

	assert_non_null(device);
	return device;
}

static void a_device_becomes_ready_and_goes(void **state)
{
	struct fixture *fixture = *state;
	struct worker_device *device = start_device(fixture);

	run_until(fixture, &fixture->ready_count, 1, WAIT_MS);
	assert_int_equal(fixture->ready_count, 1);
	assert_int_equal(fixture->failed_count, 0);
	assert_int_equal(worker_device_state(device), WORKER_DEVICE_READY);
	assert_true(worker_device_pid(device) > 0);
	worker_device_destroy(device, on_gone, fixture);
	run_until(fixture, &fixture->gone_count, 1, WAIT_MS);
	run_until(fixture, &fixture->exited_count, 1, WAIT_MS);
	assert_int_equal(fixture->gone_count, 1);
	assert_int_equal(fixture->exited_count, 1);
}

/* It does not wait for a broker that may be slow; the worker that still comes is killed. */
static void a_device_destroyed_while_it_starts_goes_at_once_and_its_worker_later(void **state)
{
	struct fixture *fixture = *state;
	pid_t broker = broker_client_welcome(fixture->broker)->pid;
	struct worker_device *device;

	assert_int_equal(kill(broker, SIGSTOP), 0);
	device = start_device(fixture);
	worker_device_destroy(device, on_gone, fixture);
	run_until(fixture, &fixture->gone_count, 1, WAIT_MS);
	assert_int_equal(kill(broker, SIGCONT), 0);
	run_until(fixture, &fixture->exited_count, 1, WAIT_MS);
	assert_int_equal(fixture->gone_count, 1);
	assert_int_equal(fixture->exited_count, 1);
	assert_int_equal(fixture->ready_count, 0);
}

#define DEVICE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(a_device_becomes_ready_and_goes),
		DEVICE_TEST(a_device_destroyed_while_it_starts_goes_at_once_and_its_worker_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
