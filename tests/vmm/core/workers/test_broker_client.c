/* SPDX-License-Identifier: Apache-2.0 */
/* The real broker, driven as the core drives it, with real workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/support/scratch_folder.h"
#include "vmm/core/workers/broker_client.h"

#define WAIT_MS 10000

struct fixture {
	char folder[64];
	char programs[96]; /* a folder with programs of our own */
	char lock[96];
	char path[96];
	char broker[256];
	struct broker_client *client;
	struct error err;
	/* what the events said */
	int exited_count, closed_count;
	int32_t exited_pid, exited_signal;
	/* what broker_spawn() said */
	int spawned_count, spawn_error;
	int32_t spawned_pid;
	char spawn_message[ERROR_MESSAGE_SIZE];
};

static void on_exited(void *opaque, int32_t pid, const char *device_id, int32_t exit_status,
		      int32_t signal)
{
	struct fixture *fixture = opaque;

	(void)device_id;
	(void)exit_status;
	fixture->exited_count++;
	fixture->exited_pid = pid;
	fixture->exited_signal = signal;
}

static void on_closed(void *opaque, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)err;
	fixture->closed_count++;
}

static const struct broker_events events = {.exited = on_exited, .closed = on_closed};

static void on_spawned(void *opaque, int32_t pid, uint32_t uid, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)uid;
	fixture->spawned_count++;
	fixture->spawned_pid = pid;
	fixture->spawn_error = err ? err->code : 0;
	(void)snprintf(fixture->spawn_message, sizeof(fixture->spawn_message), "%s",
		       err ? err->message : "");
}

static void start(struct fixture *fixture, const char *worker_folder)
{
	const struct broker_start_options options = {
		.program = fixture->broker,
		.log_fd = 2,
		.log_level = LOG_LEVEL_WARNING,
		.uid_lock_path = fixture->lock,
		.worker_folder = worker_folder,
	};

	fixture->client = broker_client_start(&options, &events, fixture, &fixture->err);
	if (!fixture->client)
		print_message("%s\n", fixture->err.message);
	assert_non_null(fixture->client);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const char *build = getenv("BULKHEAD_BUILD");

	scratch_folder_make("broker", fixture->folder, sizeof(fixture->folder));
	(void)chmod(fixture->folder, 0755);
	(void)snprintf(fixture->lock, sizeof(fixture->lock), "%s/lock", fixture->folder);
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/x", fixture->folder);
	(void)snprintf(fixture->programs, sizeof(fixture->programs), "%s/blk", fixture->folder);
	(void)snprintf(fixture->broker, sizeof(fixture->broker), "%s/bin/bulkhead-broker",
		       build ? build : "build");
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char program[128];

	broker_client_destroy(fixture->client);
	(void)snprintf(program, sizeof(program), "%s/bulkhead-blk", fixture->programs);
	(void)unlink(program);
	(void)rmdir(fixture->programs);
	(void)unlink(fixture->lock);
	(void)unlink(fixture->path);
	/* The broker cleans up after we have let go of it. */
	for (int i = 0; i < 200 && rmdir(fixture->folder) != 0; i++) {
		(void)unlink(fixture->lock);
		(void)poll(NULL, 0, 10);
	}
	free(fixture);
	return 0;
}

/* Dispatch until *counter reaches value. */
static void wait_until(struct fixture *fixture, const int *counter, int value)
{
	struct channel *channel = broker_client_channel(fixture->client);
	uint64_t deadline_ms = channel_now_ms() + WAIT_MS;

	while (*counter < value && channel_now_ms() < deadline_ms && channel_fd(channel) >= 0) {
		struct pollfd ready = {channel_fd(channel), channel_poll_events(channel), 0};

		(void)poll(&ready, 1, 100);
		(void)channel_dispatch(channel, 0);
		if (channel_fd(channel) >= 0)
			channel_expire(channel, channel_now_ms());
	}
	assert_true(*counter >= value);
}

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void assert_ends(int pidfd)
{
	struct pollfd ready = {pidfd, POLLIN, 0};

	assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
	close(pidfd);
}

static int declare(struct fixture *fixture, const char *id, Bulkhead__Broker__ResourceKind kind,
		   char *path)
{
	Bulkhead__Broker__Resource resource, *resources[] = {&resource};
	Bulkhead__Broker__Declare request;
	char id_copy[64];

	(void)snprintf(id_copy, sizeof(id_copy), "%s", id);
	bulkhead__broker__resource__init(&resource);
	resource.id = id_copy;
	resource.kind = kind;
	resource.path = path;
	bulkhead__broker__declare__init(&request);
	request.resources = resources;
	request.n_resources = 1;
	return broker_declare(fixture->client, &request, &fixture->err);
}

static int32_t spawn(struct fixture *fixture, const char *device_id, int *core_fd, uint32_t *uid)
{
	int32_t pid = 0;
	int ends[2];
	int rc;

	assert_int_equal(channel_socketpair(ends, &fixture->err), 0);
	rc = broker_spawn_sync(fixture->client, "rng", device_id, ends[1], &pid, uid,
			       &fixture->err);
	close(ends[1]);
	*core_fd = ends[0];
	if (rc != 0)
		print_message("%s\n", fixture->err.message);
	assert_int_equal(rc, 0);
	return pid;
}

/* The value of a line of /proc/PID/status. */
static void process_status(pid_t pid, const char *key, char *value, size_t size)
{
	char path[64], line[256];
	cleanup_stream FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	value[0] = '\0';
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			(void)snprintf(value, size, "%.*s",
				       (int)strcspn(line + strlen(key) + 2, "\t\n"),
				       line + strlen(key) + 2);
}

static void a_declared_file_is_opened_and_another_is_not(void **state)
{
	struct fixture *fixture = *state;
	int fd;

	start(fixture, NULL);
	close(open(fixture->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(declare(fixture, "kernel",
				 BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_FILE_READ,
				 fixture->path),
			 0);
	assert_int_equal(broker_open(fixture->client, "kernel", NULL, 0, &fd, &fixture->err), 0);
	close(fd);
	assert_int_equal(broker_open(fixture->client, "initramfs", NULL, 0, &fd, &fixture->err),
			 -EPERM);
	assert_string_equal(fixture->err.message, "open \"initramfs\": not declared");
	assert_int_equal(fd, -1);
}

static void nothing_is_declared_once_the_configuration_is_sealed(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, NULL);
	assert_int_equal(broker_seal(fixture->client, &fixture->err), 0);
	assert_int_equal(declare(fixture, "kernel",
				 BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_FILE_READ,
				 fixture->path),
			 -EPERM);
}

static void a_worker_runs_without_any_privilege(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		const char *key, *value;
	} expected[] = {
		{"CapEff", "0000000000000000"},
		{"CapPrm", "0000000000000000"},
		{"CapBnd", "0000000000000000"},
		{"CapAmb", "0000000000000000"},
		{"NoNewPrivs", "1"},
		{"Seccomp", "2"},
		{"Name", "bulkhead-rng"},
		{"Threads", "1"},
	};
	int core_fd;
	int32_t pid;
	char value[64];

	start(fixture, NULL);
	pid = spawn(fixture, "r0", &core_fd, NULL);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		process_status(pid, expected[i].key, value, sizeof(value));
		assert_string_equal(value, expected[i].value);
	}
	close(core_fd);
}

static void a_worker_has_namespaces_of_its_own(void **state)
{
	static const char *const names[] = {"user", "pid", "mnt", "ipc", "uts", "net", "cgroup"};
	struct fixture *fixture = *state;
	char path[64];
	int core_fd;
	int32_t pid;

	start(fixture, NULL);
	pid = spawn(fixture, "r0", &core_fd, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct stat own, workers;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		assert_int_equal(stat(path, &own), 0);
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, names[i]);
		if (stat(path, &workers) != 0) {
			printf("skip: namespaces of another user's process are not shown\n");
			skip();
		}
		assert_int_not_equal(own.st_ino, workers.st_ino);
	}
	close(core_fd);
}

static void every_worker_has_an_id_of_its_own(void **state)
{
	struct fixture *fixture = *state;
	uint32_t first = 0, second = 0;
	int core_fds[2];

	start(fixture, NULL);
	if (!broker_client_welcome(fixture->client)->separate_ids) {
		printf("skip: not root\n");
		skip();
	}
	(void)spawn(fixture, "r0", &core_fds[0], &first);
	(void)spawn(fixture, "r1", &core_fds[1], &second);
	assert_int_not_equal(first, second);
	assert_int_not_equal(first, broker_client_welcome(fixture->client)->core_uid);
	assert_int_not_equal(first, 0);
	close(core_fds[0]);
	close(core_fds[1]);
}

static void a_killed_worker_is_reported(void **state)
{
	struct fixture *fixture = *state;
	int core_fd;
	int32_t pid;

	start(fixture, NULL);
	pid = spawn(fixture, "r0", &core_fd, NULL);
	assert_int_equal(broker_kill(fixture->client, pid, &fixture->err), 0);
	wait_until(fixture, &fixture->exited_count, 1);
	assert_int_equal(fixture->exited_pid, pid);
	assert_int_equal(fixture->exited_signal, SIGKILL);
	close(core_fd);
}

static void a_worker_that_loses_the_core_ends_by_itself(void **state)
{
	struct fixture *fixture = *state;
	int core_fd;

	start(fixture, NULL);
	(void)spawn(fixture, "r0", &core_fd, NULL);
	close(core_fd);
	wait_until(fixture, &fixture->exited_count, 1);
	assert_int_equal(fixture->exited_signal, 0);
}

static void when_the_core_goes_nothing_is_left(void **state)
{
	struct fixture *fixture = *state;
	int core_fds[2], worker, broker, fd;

	start(fixture, NULL);
	assert_int_equal(declare(fixture, "api",
				 BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_LISTEN_SOCKET,
				 fixture->path),
			 0);
	assert_int_equal(broker_open(fixture->client, "api", NULL, 0, &fd, &fixture->err), 0);
	worker = pidfd_of(spawn(fixture, "r0", &core_fds[0], NULL));
	broker = pidfd_of(broker_client_welcome(fixture->client)->pid);
	broker_client_destroy(fixture->client);
	fixture->client = NULL;
	assert_ends(worker);
	assert_ends(broker);
	assert_int_equal(access(fixture->path, F_OK), -1);
	close(fd);
	close(core_fds[0]);
}

static void shutdown_returns_when_every_process_is_gone(void **state)
{
	struct fixture *fixture = *state;
	int core_fd, worker;

	start(fixture, NULL);
	worker = pidfd_of(spawn(fixture, "r0", &core_fd, NULL));
	assert_int_equal(broker_client_shutdown(fixture->client, WAIT_MS, &fixture->err), 0);
	assert_int_equal(poll(&(struct pollfd){worker, POLLIN, 0}, 1, 0), 1);
	assert_int_equal(fixture->closed_count, 0);
	close(worker);
	close(core_fd);
}

static void workers_do_not_outlive_a_killed_broker(void **state)
{
	struct fixture *fixture = *state;
	int core_fd, worker, broker;

	start(fixture, NULL);
	worker = pidfd_of(spawn(fixture, "r0", &core_fd, NULL));
	broker = pidfd_of(broker_client_welcome(fixture->client)->pid);
	assert_int_equal(syscall(SYS_pidfd_send_signal, broker, SIGKILL, NULL, 0), 0);
	assert_ends(broker);
	assert_ends(worker);
	wait_until(fixture, &fixture->closed_count, 1);
	close(core_fd);
}

static void signals_of_the_terminal_do_not_end_the_broker(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
	struct fixture *fixture = *state;
	int core_fd;

	start(fixture, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		assert_int_equal(kill(broker_client_welcome(fixture->client)->pid, signals[i]), 0);
	(void)spawn(fixture, "r0", &core_fd, NULL);
	close(core_fd);
}

static void spawn_own_program(struct fixture *fixture, const char *content, mode_t mode)
{
	char program[128];
	int ends[2], fd;

	assert_int_equal(mkdir(fixture->programs, 0755), 0);
	(void)snprintf(program, sizeof(program), "%s/bulkhead-blk", fixture->programs);
	if (content[0] == '/') {
		assert_int_equal(symlink(content, program), 0);
	} else {
		fd = open(program, O_CREAT | O_WRONLY, mode);
		assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
		close(fd);
		(void)chmod(program, mode);
	}
	start(fixture, fixture->programs);
	assert_int_equal(channel_socketpair(ends, &fixture->err), 0);
	assert_int_equal(broker_spawn(fixture->client, "blk", "d0", ends[1], on_spawned, fixture,
				      &fixture->err),
			 0);
	close(ends[1]);
	wait_until(fixture, &fixture->spawned_count, 1);
	close(ends[0]);
}

static void a_program_that_cannot_be_run_is_a_clear_error(void **state)
{
	struct fixture *fixture = *state;

	spawn_own_program(fixture, "not a program", 0644);
	assert_int_equal(fixture->spawn_error, -EACCES);
	assert_string_equal(fixture->spawn_message,
			    "blk \"d0\": exec bulkhead-blk: Permission denied");
}

static void a_program_that_reports_nothing_is_a_clear_error(void **state)
{
	struct fixture *fixture = *state;

	spawn_own_program(fixture, "/bin/true", 0);
	assert_int_equal(fixture->spawn_error, -ECONNRESET);
	assert_string_equal(fixture->spawn_message,
			    "blk \"d0\": ended before its sandbox was closed");
	assert_int_equal(fixture->exited_count, 0);
}

static void unknown_kinds_and_odd_names_are_refused(void **state)
{
	struct fixture *fixture = *state;
	int ends[2];

	start(fixture, NULL);
	assert_int_equal(channel_socketpair(ends, &fixture->err), 0);
	assert_int_equal(
		broker_spawn_sync(fixture->client, "sh", "d0", ends[1], NULL, NULL, &fixture->err),
		-EINVAL);
	assert_int_equal(broker_spawn_sync(fixture->client, "rng", "d0 --seccomp=false", ends[1],
					   NULL, NULL, &fixture->err),
			 -EINVAL);
	assert_int_equal(
		broker_spawn_sync(fixture->client, "rng", "", ends[1], NULL, NULL, &fixture->err),
		-EINVAL);
	close(ends[0]);
	close(ends[1]);
}

#define BROKER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BROKER_TEST(a_declared_file_is_opened_and_another_is_not),
		BROKER_TEST(nothing_is_declared_once_the_configuration_is_sealed),
		BROKER_TEST(a_worker_runs_without_any_privilege),
		BROKER_TEST(a_worker_has_namespaces_of_its_own),
		BROKER_TEST(every_worker_has_an_id_of_its_own),
		BROKER_TEST(a_killed_worker_is_reported),
		BROKER_TEST(a_worker_that_loses_the_core_ends_by_itself),
		BROKER_TEST(when_the_core_goes_nothing_is_left),
		BROKER_TEST(shutdown_returns_when_every_process_is_gone),
		BROKER_TEST(workers_do_not_outlive_a_killed_broker),
		BROKER_TEST(signals_of_the_terminal_do_not_end_the_broker),
		BROKER_TEST(a_program_that_cannot_be_run_is_a_clear_error),
		BROKER_TEST(a_program_that_reports_nothing_is_a_clear_error),
		BROKER_TEST(unknown_kinds_and_odd_names_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
