/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's control server with the real broker and the real gateway, and an owner that has no VM.
 * The loop runs on a thread of its own; the test is the client.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/cleanup.h"
#include "tests/support/scratch_folder.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/control_notify.h"
#include "vmm/core/control/control_parts.h"
#include "vmm/core/control/control_server.h"

struct fixture {
	char folder[64], api[96], events[96], notify[96], worker_folder[512];
	int notify_fd;
	uv_loop_t loop;
	uv_async_t stop_async;
	struct broker_client *broker;
	struct channel_watch broker_watch;
	struct control *control;
	pthread_t thread;
	char created_kernel[64];
	int create_result;
	bool shut_down;
};

/* ---- the owner ---- */

static struct vm *host_vm(void *opaque)
{
	(void)opaque;
	return NULL;
}

static int host_create(void *opaque, Bulkhead__Config__Vm *config, struct error *err)
{
	struct fixture *fixture = opaque;

	if (fixture->create_result)
		return error_set(err, fixture->create_result, "--disk: id=x is used");
	(void)snprintf(fixture->created_kernel, sizeof(fixture->created_kernel), "%s %s %u",
		       config->payload->kernel, config->name, config->cpus->boot);
	vm_config_free(config);
	return 0;
}

static int host_delete(void *opaque, void (*done)(void *), void *done_opaque, struct error *err)
{
	(void)opaque;
	(void)done;
	(void)done_opaque;
	return error_set(err, -ENODEV, "no VM");
}

static void on_broker_watch_closed(void *opaque)
{
	(void)opaque;
}

static void on_stopped(void *opaque)
{
	struct fixture *fixture = opaque;

	fixture->control = NULL;
	uv_close((uv_handle_t *)&fixture->stop_async, NULL);
	channel_watch_close(&fixture->broker_watch, on_broker_watch_closed, fixture);
}

static void host_shutdown(void *opaque)
{
	struct fixture *fixture = opaque;

	fixture->shut_down = true;
	control_stop(fixture->control, on_stopped, fixture);
}

static const struct control_host_ops host = {
	.vm = host_vm,
	.create_vm = host_create,
	.delete_vm = host_delete,
	.shutdown_vmm = host_shutdown,
};

static void on_exited(void *opaque, int32_t pid, const char *device_id, int32_t exit_status,
		      int32_t signal_number)
{
	struct fixture *fixture = opaque;

	control_on_process_exited(fixture->control, pid, device_id, exit_status, signal_number);
}

static void on_stop_async(uv_async_t *async)
{
	struct fixture *fixture = async->data;

	if (fixture->control && !fixture->control->stopping)
		control_stop(fixture->control, on_stopped, fixture);
}

static void *loop_thread(void *opaque)
{
	struct fixture *fixture = opaque;

	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* ---- set-up ---- */

static void make_notify_socket(struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(fixture->notify, sizeof(fixture->notify), "%s/notify", fixture->folder);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->notify);
	fixture->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fixture->notify_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", fixture->notify, 1);
}

static int start_broker(struct fixture *fixture, struct error *err)
{
	const char *build = getenv("BULKHEAD_BUILD");
	char program[600];
	struct broker_start_options options = {.program = program, .log_fd = STDERR_FILENO};
	static const struct broker_events events = {.exited = on_exited};

	(void)snprintf(program, sizeof(program), "%s/bin/bulkhead-broker", build ? build : "build");
	fixture->broker = broker_client_start(&options, &events, fixture, err);
	return fixture->broker ? 0 : err->code;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct control_settings settings = {0};
	struct error err = ERROR_INIT;
	struct control_options options = {.settings = &settings,
					  .vm_name = "test",
					  .host = &host,
					  .opaque = fixture,
					  .owner_uid = geteuid(),
					  .heartbeat_ms = 3000};
	char text[160];

	(void)signal(SIGPIPE, SIG_IGN);
	scratch_folder_make("control", fixture->folder, sizeof(fixture->folder));
	(void)snprintf(fixture->api, sizeof(fixture->api), "%s/api", fixture->folder);
	(void)snprintf(fixture->events, sizeof(fixture->events), "%s/events", fixture->folder);
	make_notify_socket(fixture);
	assert_int_equal(control_settings_add_api_socket(&settings, fixture->api, &err), 0);
	(void)snprintf(text, sizeof(text), "path=%s", fixture->events);
	assert_int_equal(control_settings_set_event_monitor(&settings, text, &err), 0);
	assert_int_equal(
		control_settings_open_event_monitor(&settings, &options.event_monitor_fd, &err), 0);
	assert_int_equal(control_notify_open(&options.notify_fd, &err), 0);
	if (start_broker(fixture, &err) < 0) {
		printf("%s\n", err.message);
		return -1;
	}
	uv_loop_init(&fixture->loop);
	uv_async_init(&fixture->loop, &fixture->stop_async, on_stop_async);
	fixture->stop_async.data = fixture;
	options.loop = &fixture->loop;
	options.broker = fixture->broker;
	fixture->control = control_new(&options, false, &err);
	if (!fixture->control) {
		printf("%s\n", err.message);
		return -1;
	}
	assert_int_equal(channel_watch_start(&fixture->broker_watch, &fixture->loop,
					     broker_client_channel(fixture->broker), &err),
			 0);
	control_starting(fixture->control);
	control_ready(fixture->control);
	pthread_create(&fixture->thread, NULL, loop_thread, fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	if (!fixture->shut_down)
		uv_async_send(&fixture->stop_async);
	pthread_join(fixture->thread, NULL);
	(void)broker_client_shutdown(fixture->broker, 5000, &err);
	broker_client_destroy(fixture->broker);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	close(fixture->notify_fd);
	(void)unlink(fixture->notify);
	(void)unlink(fixture->events);
	assert_int_equal(rmdir(fixture->folder), 0); /* the broker has removed its socket */
	free(fixture);
	return 0;
}

/* ---- the client ---- */

static int client_connect(const struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->api);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static char response[16384];

/* The status of one request on its own connection. */
static int request(const struct fixture *fixture, const char *method, const char *name,
		   const char *body)
{
	cleanup_fd int fd = client_connect(fixture);
	char text[2048];
	size_t used = 0;
	ssize_t got;

	(void)snprintf(
		text, sizeof(text),
		"%s /api/v1/%s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		method, name, strlen(body), body);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	while ((got = recv(fd, response + used, sizeof(response) - used - 1, 0)) > 0)
		used += (size_t)got;
	response[used] = '\0';
	return used > 12 ? (int)strtol(response + 9, NULL, 10) : 0;
}

static void notified(const struct fixture *fixture, const char *expected)
{
	struct pollfd poll_fd = {.fd = fixture->notify_fd, .events = POLLIN};
	char text[64] = "";

	assert_int_equal(poll(&poll_fd, 1, 3000), 1);
	assert_true(recv(fixture->notify_fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, expected);
}

static void events_contain(const struct fixture *fixture, const char *expected)
{
	static char text[65536];

	for (int tries = 0; tries < 100; tries++) {
		cleanup_stream FILE *file = fopen(fixture->events, "re");
		size_t bytes = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

		text[bytes] = '\0';
		if (strstr(text, expected))
			return;
		usleep(20000);
	}
	fail_msg("no %s in %s", expected, text);
}

/* ---- tests ---- */

static void the_socket_is_the_owners_alone_and_answers(void **state)
{
	const struct fixture *fixture = *state;
	struct stat status;

	assert_int_equal(stat(fixture->api, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(request(fixture, "GET", "vmm.ping", ""), 200);
	assert_non_null(strstr(response, "\"version\":\"v" BULKHEAD_VERSION "\""));
	notified(fixture, "READY=1");
	events_contain(fixture,
		       "\"source\":\"vmm\",\"event\":\"starting\",\"properties\":null}\n\n");
}

static void commands_for_a_vm_that_is_not_there_say_so(void **state)
{
	static const char *const puts[] = {"vm.boot",	"vm.pause",	   "vm.resume",
					   "vm.reboot", "vm.power-button", "vm.nmi",
					   "vm.delete", "vm.shutdown",	   "vm.snapshot-cancel"};

	for (size_t i = 0; i < sizeof(puts) / sizeof(*puts); i++) {
		assert_int_equal(request(*state, "PUT", puts[i], ""), 404);
		assert_non_null(strstr(response, "[\"no VM is created\"]"));
	}
	assert_int_equal(request(*state, "GET", "vm.info", ""), 404);
	assert_int_equal(request(*state, "GET", "vm.counters", ""), 404);
	assert_int_equal(
		request(*state, "PUT", "vm.snapshot", "{\"destination_url\":\"file:///x\"}"), 404);
	assert_int_equal(
		request(*state, "PUT", "vm.resize-disk", "{\"id\":\"a\",\"desired_size\":4096}"),
		404);
}

static void a_created_vm_has_its_defaults(void **state)
{
	const struct fixture *fixture = *state;

	assert_int_equal(request(fixture, "PUT", "vm.create", "{\"payload\":{\"kernel\":\"/k\"}}"),
			 204);
	assert_string_equal(fixture->created_kernel, "/k test 1");
}

static void what_the_core_refuses_names_the_field_of_the_api(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(request(fixture, "PUT", "vm.create",
				 "{\"payload\":{\"kernel\":\"/k\"},\"cpus\":{\"boot_vcpus\":99,"
				 "\"max_vcpus\":99}}"),
			 400);
	assert_non_null(strstr(response, "[\"cpus: boot=99,max=99: at most 16\"]"));
	fixture->create_result = -EINVAL;
	assert_int_equal(request(fixture, "PUT", "vm.create", "{\"payload\":{\"kernel\":\"/k\"}}"),
			 400);
	assert_non_null(strstr(response, "[\"disks: id=x is used\"]"));
}

static void restore_says_when_this_version_has_none(void **state)
{
	assert_int_equal(request(*state, "PUT", "vm.restore", "{\"source_url\":\"file:///x\"}"),
			 501);
}

static void processes_are_listed_with_their_roles(void **state)
{
	assert_int_equal(request(*state, "GET", "vmm.processes", ""), 200);
	assert_non_null(strstr(response, "\"role\":\"core\""));
	assert_non_null(strstr(response, "\"role\":\"broker\""));
	assert_non_null(strstr(response, "\"role\":\"gateway\",\"device\":\"\",\"pid\":"));
}

/*
 * The pid of the running gateway, as the list of processes has it. A new gateway may answer before
 * the broker's word of it has been read, so its pid is waited for.
 */
static pid_t gateway_pid(const struct fixture *fixture)
{
	static const char gateway[] = "\"role\":\"gateway\",\"device\":\"\",\"pid\":";

	for (int tries = 0; tries < 250; tries++) {
		const char *found;
		pid_t pid;

		assert_int_equal(request(fixture, "GET", "vmm.processes", ""), 200);
		found = strstr(response, gateway);
		assert_non_null(found);
		pid = (pid_t)strtol(found + sizeof(gateway) - 1, NULL, 10);
		if (pid > 1)
			return pid;
		usleep(20000);
	}
	fail_msg("the gateway has no pid: %s", response);
	return 0;
}

static void a_killed_gateway_is_started_again_on_the_same_socket(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 3; i++) {
		cleanup_fd int fd = client_connect(fixture);
		char byte;
		pid_t pid;

		assert_int_equal(request(fixture, "GET", "vmm.ping", ""), 200);
		pid = gateway_pid(fixture);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
		assert_int_equal(request(fixture, "GET", "vmm.ping", ""), 200);
		assert_int_not_equal(gateway_pid(fixture), pid);
	}
	events_contain(fixture, "\"source\":\"gateway\",\"event\":\"died\"");
}

/* It does not die by itself: its place is taken, and the stopped process goes. */
static void a_gateway_that_hangs_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	pid_t pid = gateway_pid(fixture);

	assert_int_equal(kill(pid, SIGSTOP), 0);
	/* Waits for the next gateway, in the queue of the socket. */
	assert_int_equal(request(fixture, "GET", "vmm.ping", ""), 200);
	assert_int_not_equal(gateway_pid(fixture), pid);
	for (int tries = 0; kill(pid, 0) == 0 && tries < 250; tries++)
		usleep(20000);
	assert_int_equal(kill(pid, 0), -1);
	events_contain(fixture, "\"source\":\"gateway\",\"event\":\"died\"");
	events_contain(fixture, "no answer to alive");
}

static void the_end_is_answered_before_it_comes(void **state)
{
	struct fixture *fixture = *state;

	notified(fixture, "READY=1");
	assert_int_equal(request(fixture, "PUT", "vmm.shutdown", ""), 204);
	notified(fixture, "STOPPING=1");
	events_contain(fixture, "\"source\":\"vmm\",\"event\":\"shutdown\"");
	assert_true(fixture->shut_down);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_socket_is_the_owners_alone_and_answers),
		TEST(commands_for_a_vm_that_is_not_there_say_so),
		TEST(a_created_vm_has_its_defaults),
		TEST(what_the_core_refuses_names_the_field_of_the_api),
		TEST(restore_says_when_this_version_has_none),
		TEST(processes_are_listed_with_their_roles),
		TEST(a_killed_gateway_is_started_again_on_the_same_socket),
		TEST(a_gateway_that_hangs_is_replaced),
		TEST(the_end_is_answered_before_it_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
