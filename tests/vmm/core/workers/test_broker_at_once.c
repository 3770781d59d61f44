/* SPDX-License-Identifier: Apache-2.0 */
/* The real broker when much happens to it between two of its turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/workers/broker_client.h"

#define WORKERS	    6
#define WAIT_MS	    10000
#define KILL_ROUNDS 30

struct fixture {
	char lock[64];
	struct broker_client *client;
	int ends[WORKERS];
	int spawned_count, failed_count;
};

static void on_spawned(void *opaque, int32_t pid, uint32_t uid, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)pid;
	(void)uid;
	if (err && err->code != -ECANCELED)
		print_message("%s\n", err->message);
	fixture->spawned_count++;
	fixture->failed_count += err != NULL;
}

static int start_broker(struct fixture *fixture)
{
	struct broker_start_options options = {.log_fd = 2, .log_level = LOG_LEVEL_WARNING};
	const char *build = getenv("BULKHEAD_BUILD");
	struct error err = ERROR_INIT;
	char program[256];

	(void)snprintf(program, sizeof(program), "%s/bin/bulkhead-broker", build ? build : "build");
	options.program = program;
	options.uid_lock_path = fixture->lock;
	fixture->client = broker_client_start(&options, NULL, NULL, &err);
	if (!fixture->client)
		print_message("%s\n", err.message);
	return fixture->client ? 0 : -1;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int lock_fd;

	(void)snprintf(fixture->lock, sizeof(fixture->lock), "/tmp/bulkhead-lock-XXXXXX");
	lock_fd = mkstemp(fixture->lock);
	if (lock_fd < 0)
		return -1;
	close(lock_fd);
	for (int i = 0; i < WORKERS; i++)
		fixture->ends[i] = -1;
	*state = fixture;
	return start_broker(fixture);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->client)
		(void)broker_client_shutdown(fixture->client, WAIT_MS, NULL);
	broker_client_destroy(fixture->client);
	for (int i = 0; i < WORKERS; i++)
		fd_close(&fixture->ends[i]);
	(void)unlink(fixture->lock);
	free(fixture);
	return 0;
}

/* The processes that the broker has started so far. */
static int children_find(pid_t broker, pid_t *pids)
{
	char path[64], text[256] = "";
	cleanup_stream FILE *file = NULL;
	int count = 0;
	char *at = text, *end;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", broker, broker);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		return 0;
	for (; count < WORKERS; at = end) {
		long pid = strtol(at, &end, 10);

		if (end == at)
			break;
		pids[count++] = (pid_t)pid;
	}
	return count;
}

static void spawn_all(struct fixture *fixture)
{
	struct error err = ERROR_INIT;
	char name[16];
	int pair[2];

	for (int i = 0; i < WORKERS; i++) {
		(void)snprintf(name, sizeof(name), "r%d", i);
		assert_int_equal(channel_socketpair(pair, &err), 0);
		fixture->ends[i] = pair[0];
		assert_int_equal(broker_spawn(fixture->client, "rng", name, pair[1], on_spawned,
					      fixture, &err),
				 0);
		close(pair[1]);
	}
}

/* The listener that one report brings may get the fd number that another's socket had. */
static void workers_that_report_at_the_same_moment_are_all_started(void **state)
{
	struct fixture *fixture = *state;
	pid_t broker = broker_client_welcome(fixture->client)->pid;
	struct channel *channel = broker_client_channel(fixture->client);
	uint64_t deadline_ms = channel_now_ms() + WAIT_MS;
	pid_t pids[WORKERS];

	spawn_all(fixture);
	while (children_find(broker, pids) < WORKERS && channel_now_ms() < deadline_ms)
		;
	assert_int_equal(kill(broker, SIGSTOP), 0);
	(void)poll(NULL, 0, 300); /* for the workers to come so far as to report */
	assert_int_equal(kill(broker, SIGCONT), 0);
	while (fixture->spawned_count < WORKERS && channel_now_ms() < deadline_ms) {
		struct pollfd ready = {channel_fd(channel), channel_poll_events(channel), 0};

		(void)poll(&ready, 1, 100);
		assert_int_equal(channel_dispatch(channel, 0), 0);
	}
	assert_int_equal(fixture->spawned_count, WORKERS);
	assert_int_equal(fixture->failed_count, 0);
}

static void stop_all(struct fixture *fixture)
{
	broker_client_destroy(fixture->client);
	fixture->client = NULL;
	for (int i = 0; i < WORKERS; i++)
		fd_close(&fixture->ends[i]);
}

/* A process that has just been cloned holds copies of the broker's ends of all its sockets. */
static void a_broker_killed_while_it_starts_workers_leaves_none(void **state)
{
	struct fixture *fixture = *state;
	pid_t pids[WORKERS];

	for (int round = 0; round < KILL_ROUNDS; round++) {
		pid_t broker = broker_client_welcome(fixture->client)->pid;
		uint64_t deadline_ms = channel_now_ms() + WAIT_MS;
		int count, pidfds[WORKERS];

		spawn_all(fixture);
		while ((count = children_find(broker, pids)) < round % WORKERS + 1 &&
		       channel_now_ms() < deadline_ms)
			;
		for (int i = 0; i < count; i++)
			pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
		assert_int_equal(kill(broker, SIGKILL), 0);
		for (int i = 0; i < count; i++) {
			assert_int_equal(poll(&(struct pollfd){pidfds[i], POLLIN, 0}, 1, WAIT_MS),
					 1);
			close(pidfds[i]);
		}
		stop_all(fixture);
		assert_int_equal(start_broker(fixture), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			workers_that_report_at_the_same_moment_are_all_started, setup, teardown),
		cmocka_unit_test_setup_teardown(a_broker_killed_while_it_starts_workers_leaves_none,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
