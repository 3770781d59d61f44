/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/gateway/fake_core.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/cleanup.h"
#include "tests/devworkers/common/worker_launcher.h"
#include "tests/support/scratch_folder.h"
#include "tests/vmm/gateway/fake_model.h"

#define MESSAGE(name) BULKHEAD__CONTROL__MESSAGE_TYPE__MESSAGE_##name
#define MAX_TYPES     128
#define MAX_HELD      128

struct held_reply {
	uint16_t type;
	uint32_t id;
};

struct fake_core {
	char folder[64];
	char paths[FAKE_SOCKET_COUNT][96];
	int sockets[FAKE_SOCKET_COUNT];
	struct launched_worker gateway;
	struct channel *channel;
	pthread_t thread;
	int wake_fd;

	/* Guarded by lock; the channel is the thread's alone, but for events, which lock it too. */
	pthread_mutex_t lock;
	bool ending, closed;
	unsigned counts[MAX_TYPES];
	uint16_t hold_type;
	struct held_reply held[MAX_HELD];
	unsigned held_count;
	uint16_t refuse_type;
	struct error refusal;
	bool turn_away;
	struct fake_model model;
};

/* ---- the channel ---- */

static int on_command(void *owner, struct channel_message *message, struct error *err)
{
	struct fake_core *core = owner;

	(void)err;
	core->counts[message->type]++;
	if (message->type == MESSAGE(CLIENT)) {
		if (core->turn_away)
			fake_model_reply_error(&core->model, message->type, message->id, -EACCES,
					       "not you");
		else
			fake_model_reply_empty(&core->model, message->type, message->id);
	} else if (message->type == core->refuse_type) {
		(void)channel_reply_error(core->channel, message->type, message->id,
					  &core->refusal);
	} else if (message->type == core->hold_type && core->held_count < MAX_HELD) {
		core->held[core->held_count++] = (struct held_reply){message->type, message->id};
	} else {
		fake_model_answer(&core->model, message->type, message->id, message->body);
	}
	return 0;
}

#define COMMAND(name_, body_)                                                                      \
	{                                                                                          \
		.type = MESSAGE(name_), .kind = FRAME_REQUEST, .name = #name_,                     \
		.descriptor = &bulkhead__control__##body_##__descriptor, .handler = on_command,    \
		.max_fds = 8                                                                       \
	}

static const struct channel_row rows[] = {
	{.type = MESSAGE(CONFIGURE), .kind = FRAME_REPLY, .name = "configure"},
	COMMAND(CLIENT, client),
	COMMAND(PING, empty),
	COMMAND(INFO, empty),
	COMMAND(COUNTERS, empty),
	COMMAND(PROCESSES, empty),
	{.type = MESSAGE(CREATE),
	 .kind = FRAME_REQUEST,
	 .name = "create",
	 .descriptor = &bulkhead__config__vm__descriptor,
	 .handler = on_command},
	COMMAND(DELETE, empty),
	COMMAND(BOOT, empty),
	COMMAND(SHUTDOWN, empty),
	COMMAND(REBOOT, empty),
	COMMAND(PAUSE, pause),
	COMMAND(RESUME, pause),
	COMMAND(POWER_BUTTON, empty),
	COMMAND(NMI, empty),
	COMMAND(RESIZE_DISK, resize_disk),
	COMMAND(SNAPSHOT, snapshot),
	COMMAND(SNAPSHOT_PROGRESS, empty),
	COMMAND(SNAPSHOT_CANCEL, empty),
	COMMAND(RESTORE, restore),
	COMMAND(VMM_SHUTDOWN, empty),
};

static void on_closed(void *owner, const struct error *err)
{
	struct fake_core *core = owner;

	if (err->code != -ECONNRESET)
		printf("the gateway broke the protocol: %s\n", err->message);
	core->closed = true;
}

static void *core_thread(void *opaque)
{
	struct fake_core *core = opaque;

	for (;;) {
		struct pollfd fds[2] = {{.fd = core->wake_fd, .events = POLLIN}};
		uint64_t woken;

		pthread_mutex_lock(&core->lock);
		if (core->ending || core->closed) {
			pthread_mutex_unlock(&core->lock);
			return NULL;
		}
		fds[1].fd = channel_fd(core->channel);
		fds[1].events = channel_poll_events(core->channel);
		pthread_mutex_unlock(&core->lock);
		(void)poll(fds, 2, 1000);
		if (fds[0].revents && read(core->wake_fd, &woken, sizeof(woken)) < 0)
			return NULL;
		pthread_mutex_lock(&core->lock);
		if (fds[1].revents)
			(void)channel_dispatch(core->channel, 0);
		pthread_mutex_unlock(&core->lock);
	}
}

static void core_wake(struct fake_core *core)
{
	uint64_t one = 1;

	(void)!write(core->wake_fd, &one, sizeof(one));
}

/* ---- start and stop ---- */

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 &&
	    (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0))
		fd_close(&fd);
	return fd;
}

static const Bulkhead__Control__Role roles[FAKE_SOCKET_COUNT] = {
	[FAKE_HTTP] = BULKHEAD__CONTROL__ROLE__ROLE_HTTP,
	[FAKE_QMP] = BULKHEAD__CONTROL__ROLE__ROLE_QMP,
	[FAKE_QMP_NO_NEGOTIATION] = BULKHEAD__CONTROL__ROLE__ROLE_QMP,
	[FAKE_METRICS] = BULKHEAD__CONTROL__ROLE__ROLE_METRICS,
};

static int configure(struct fake_core *core, struct error *err)
{
	Bulkhead__Control__Configure message = BULKHEAD__CONTROL__CONFIGURE__INIT;
	Bulkhead__Control__Socket sockets[FAKE_SOCKET_COUNT], *pointers[FAKE_SOCKET_COUNT];

	for (int i = 0; i < FAKE_SOCKET_COUNT; i++) {
		bulkhead__control__socket__init(&sockets[i]);
		sockets[i].role = roles[i];
		sockets[i].qmp_no_negotiation = i == FAKE_QMP_NO_NEGOTIATION;
		pointers[i] = &sockets[i];
	}
	message.sockets = pointers;
	message.n_sockets = FAKE_SOCKET_COUNT;
	message.vm_name = (char[]){"testvm"};
	return channel_call_sync(core->channel, MESSAGE(CONFIGURE), &message.base, core->sockets,
				 FAKE_SOCKET_COUNT, 5000, NULL, NULL, NULL, err);
}

static int start_gateway(struct fake_core *core, struct error *err)
{
	static const struct channel_callbacks callbacks = {.closed = on_closed};
	const char *build = getenv("BULKHEAD_BUILD");
	char program[512];
	struct launch_options options = {.program = program};

	(void)snprintf(program, sizeof(program), "%s/bin/bulkhead-gateway",
		       build ? build : "build");
	core->closed = false;
	if (worker_launch(&options, &core->gateway, err) < 0)
		return err->code;
	core->channel = channel_new(core->gateway.core_fd, "gateway", rows,
				    sizeof(rows) / sizeof(*rows), &callbacks, core, err);
	core->model.channel = core->channel;
	if (!core->channel || configure(core, err) < 0)
		return err->code;
	return pthread_create(&core->thread, NULL, core_thread, core) == 0 ? 0 : -EAGAIN;
}

static void remove_sockets(struct fake_core *core)
{
	for (int i = 0; i < FAKE_SOCKET_COUNT; i++) {
		close(core->sockets[i]);
		unlink(core->paths[i]);
	}
	rmdir(core->folder);
}

struct fake_core *fake_core_start(void)
{
	static const char *const names[] = {"api", "qmp", "qmp2", "metrics"};
	struct fake_core *core = calloc(1, sizeof(*core));
	struct error err = ERROR_INIT;

	signal(SIGPIPE, SIG_IGN);
	scratch_folder_make("gateway", core->folder, sizeof(core->folder));
	pthread_mutex_init(&core->lock, NULL);
	core->wake_fd = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i < FAKE_SOCKET_COUNT; i++) {
		(void)snprintf(core->paths[i], sizeof(core->paths[i]), "%s/%s", core->folder,
			       names[i]);
		core->sockets[i] = listen_at(core->paths[i]);
	}
	if (start_gateway(core, &err) == 0)
		return core;
	printf("cannot start the gateway: %s\n", err.message);
	channel_destroy(core->channel);
	if (core->gateway.pid > 0)
		(void)worker_launch_reap(&core->gateway, 1000);
	remove_sockets(core);
	close(core->wake_fd);
	free(core);
	return NULL;
}

static int end_gateway(struct fake_core *core, bool kill_it)
{
	pthread_mutex_lock(&core->lock);
	core->ending = true;
	pthread_mutex_unlock(&core->lock);
	core_wake(core);
	pthread_join(core->thread, NULL);
	core->ending = false;
	if (kill_it)
		kill(core->gateway.pid, SIGKILL);
	channel_destroy(core->channel);
	core->channel = NULL;
	core->gateway.core_fd = -1;
	core->held_count = 0;
	return worker_launch_reap(&core->gateway, 5000);
}

bool fake_core_stop(struct fake_core *core)
{
	int violation = worker_launch_violation(&core->gateway);
	int status = end_gateway(core, false);

	if (violation >= 0)
		printf("the gateway made the forbidden system call %d\n", violation);
	remove_sockets(core);
	close(core->wake_fd);
	if (core->model.config)
		bulkhead__config__vm__free_unpacked(core->model.config, NULL);
	pthread_mutex_destroy(&core->lock);
	free(core);
	if (status != 0)
		printf("the gateway ended with status %#x\n", (unsigned)status);
	return status == 0 && violation < 0;
}

void fake_core_restart_gateway(struct fake_core *core)
{
	struct error err = ERROR_INIT;

	(void)end_gateway(core, true);
	if (start_gateway(core, &err) < 0)
		printf("cannot start the gateway again: %s\n", err.message);
}

/* ---- what tests ask for ---- */

const char *fake_core_path(const struct fake_core *core, enum fake_socket socket)
{
	return core->paths[socket];
}

pid_t fake_core_gateway_pid(const struct fake_core *core)
{
	return core->gateway.pid;
}

void fake_core_hold(struct fake_core *core, uint16_t type)
{
	pthread_mutex_lock(&core->lock);
	core->hold_type = type;
	pthread_mutex_unlock(&core->lock);
}

void fake_core_release(struct fake_core *core)
{
	pthread_mutex_lock(&core->lock);
	core->hold_type = 0;
	for (unsigned i = 0; i < core->held_count; i++)
		fake_model_answer(&core->model, core->held[i].type, core->held[i].id, NULL);
	core->held_count = 0;
	pthread_mutex_unlock(&core->lock);
	core_wake(core);
}

unsigned fake_core_held(struct fake_core *core)
{
	unsigned count;

	pthread_mutex_lock(&core->lock);
	count = core->held_count;
	pthread_mutex_unlock(&core->lock);
	return count;
}

void fake_core_refuse(struct fake_core *core, uint16_t type, int code, const char *text)
{
	pthread_mutex_lock(&core->lock);
	core->refuse_type = code ? type : 0;
	error_set(&core->refusal, code, "%s", text ? text : "");
	pthread_mutex_unlock(&core->lock);
}

void fake_core_turn_away(struct fake_core *core, bool turn_away)
{
	pthread_mutex_lock(&core->lock);
	core->turn_away = turn_away;
	pthread_mutex_unlock(&core->lock);
}

unsigned fake_core_count(struct fake_core *core, uint16_t type)
{
	unsigned count;

	pthread_mutex_lock(&core->lock);
	count = core->counts[type];
	pthread_mutex_unlock(&core->lock);
	return count;
}

Bulkhead__Config__Vm *fake_core_config(struct fake_core *core)
{
	Bulkhead__Config__Vm *copy = NULL;
	size_t bytes;
	uint8_t *packed;

	pthread_mutex_lock(&core->lock);
	if (core->model.config) {
		bytes = bulkhead__config__vm__get_packed_size(core->model.config);
		packed = malloc(bytes + 1);
		(void)bulkhead__config__vm__pack(core->model.config, packed);
		copy = bulkhead__config__vm__unpack(NULL, bytes, packed);
		free(packed);
	}
	pthread_mutex_unlock(&core->lock);
	return copy;
}

void fake_core_event(struct fake_core *core, Bulkhead__Control__EventKind kind, const char *source,
		     const char *event)
{
	Bulkhead__Control__Event message = BULKHEAD__CONTROL__EVENT__INIT;
	Bulkhead__Control__Property properties[2], *pointers[2];
	static const char *const names[] = {"guest", "reason"};
	static const char *const values[] = {"true", "guest-shutdown"};

	for (int i = 0; i < 2; i++) {
		bulkhead__control__property__init(&properties[i]);
		properties[i].name = (char *)(uintptr_t)names[i];
		properties[i].value = (char *)(uintptr_t)values[i];
		pointers[i] = &properties[i];
	}
	message.kind = kind;
	message.seconds = 1700000000;
	message.nanoseconds = 5000;
	message.source = (char *)(uintptr_t)source;
	message.event = (char *)(uintptr_t)event;
	message.properties = pointers;
	message.n_properties = 2;
	pthread_mutex_lock(&core->lock);
	(void)channel_event(core->channel, MESSAGE(EVENT), &message.base, NULL, 0, NULL);
	pthread_mutex_unlock(&core->lock);
	core_wake(core);
}

int fake_core_set_up(void **state)
{
	*state = fake_core_start();
	return *state ? 0 : -1;
}

int fake_core_tear_down(void **state)
{
	return fake_core_stop(*state) ? 0 : -1;
}
