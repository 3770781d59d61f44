/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/workers/broker_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/workers/broker_start.h"
#include "vmm/core/workers/channel_watch.h"

#define MESSAGE(name) BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_##name

#define HELLO_MS     10000
#define CALL_MS	     10000
#define LAST_STEP_MS 1000
#define SPAWN_MS     15000 /* longer than the broker gives the process, whose error says more */

struct broker_client {
	struct channel *channel;
	struct broker_events events;
	void *opaque;
	Bulkhead__Broker__Welcome *welcome;
	int pidfd;
	struct channel_watch *watch;  /* NULL: nobody polls yet */
	struct spawn_request *spawns; /* that wait for their answer */
	bool sealed;
	bool ending; /* its going is expected */
};

/* One SPAWN that waits for its answer. */
struct spawn_request {
	struct broker_client *client;
	struct spawn_request *next;
	broker_spawned_fn callback; /* NULL: who asked is gone */
	void *opaque;
};

static int on_exited(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__Exited *event = (const Bulkhead__Broker__Exited *)message->body;
	struct broker_client *client = owner;

	(void)err;
	if (client->events.exited)
		client->events.exited(client->opaque, event->pid, event->device_id,
				      event->exit_status, event->signal);
	return 0;
}

static int on_violation(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__Violation *event =
		(const Bulkhead__Broker__Violation *)message->body;
	struct broker_client *client = owner;

	(void)err;
	if (client->events.violation)
		client->events.violation(client->opaque, event->pid, event->kind, event->device_id,
					 event->syscall_number, event->syscall_name);
	return 0;
}

static const struct channel_row rows[] = {
	{MESSAGE(HELLO), FRAME_REPLY, "hello", &bulkhead__broker__welcome__descriptor, 0, 0, 0, 0,
	 NULL},
	{MESSAGE(DECLARE), FRAME_REPLY, "declare", NULL, 0, 0, 0, 0, NULL},
	{MESSAGE(OPEN), FRAME_REPLY, "open", &bulkhead__broker__opened__descriptor, 0, 0, 1, 0,
	 NULL},
	{MESSAGE(SPAWN), FRAME_REPLY, "spawn", &bulkhead__broker__spawned__descriptor, 0, 0, 0, 0,
	 NULL},
	{MESSAGE(KILL), FRAME_REPLY, "kill", NULL, 0, 0, 0, 0, NULL},
	{MESSAGE(SEAL), FRAME_REPLY, "seal", NULL, 0, 0, 0, 0, NULL},
	{MESSAGE(SNAPSHOT_OPEN), FRAME_REPLY, "snapshot-open", NULL, 0, 0, 0, 0, NULL},
	{MESSAGE(SNAPSHOT_FILE), FRAME_REPLY, "snapshot-file", NULL, 0, 0, 1, 0, NULL},
	{MESSAGE(SNAPSHOT_COMMIT), FRAME_REPLY, "snapshot-commit", NULL, 0, 0, 0, 0, NULL},
	{MESSAGE(SNAPSHOT_CLOSE), FRAME_REPLY, "snapshot-close", NULL, 0, 0, 0, 0, NULL},
	{MESSAGE(SHUTDOWN), FRAME_REPLY, "shutdown", NULL, 0, 0, 0, 0, NULL},
	{MESSAGE(EXITED), FRAME_EVENT, "exited", &bulkhead__broker__exited__descriptor, 0, 0, 0, 0,
	 on_exited},
	{MESSAGE(VIOLATION), FRAME_EVENT, "violation", &bulkhead__broker__violation__descriptor, 0,
	 0, 0, 0, on_violation},
};

static void on_closed(void *owner, const struct error *err)
{
	struct broker_client *client = owner;

	if (!client->ending && client->events.closed)
		client->events.closed(client->opaque, err);
}

static const struct channel_callbacks callbacks = {.closed = on_closed};

int broker_client_hello(struct broker_client *client, struct error *err)
{
	ProtobufCMessage *body = NULL;
	int rc = channel_call_sync(client->channel, MESSAGE(HELLO), NULL, NULL, 0, HELLO_MS, &body,
				   NULL, NULL, err);

	if (rc != 0)
		return rc;
	client->welcome = (Bulkhead__Broker__Welcome *)body;
	client->ending = false;
	return 0;
}

struct broker_client *broker_client_launch(const struct broker_start_options *options,
					   const struct broker_events *events, void *opaque,
					   struct error *err)
{
	struct broker_client *client = calloc(1, sizeof(*client));
	cleanup_fd int fd = -1;

	if (!client) {
		(void)error_set_errno(err, -ENOMEM, "broker");
		return NULL;
	}
	client->opaque = opaque;
	client->pidfd = -1;
	client->ending = true; /* until it has begun */
	if (events)
		client->events = *events;
	fd = broker_start_process(options, &client->pidfd, err);
	if (fd < 0)
		goto fail;
	client->channel = channel_new(fd, "broker", rows, sizeof(rows) / sizeof(rows[0]),
				      &callbacks, client, err);
	if (!client->channel)
		goto fail;
	(void)fd_steal(&fd);
	return client;
fail:
	broker_client_destroy(client);
	return NULL;
}

struct broker_client *broker_client_start(const struct broker_start_options *options,
					  const struct broker_events *events, void *opaque,
					  struct error *err)
{
	struct broker_client *client = broker_client_launch(options, events, opaque, err);

	if (client && broker_client_hello(client, err) != 0) {
		broker_client_destroy(client);
		client = NULL;
	}
	return client;
}

void broker_client_destroy(struct broker_client *client)
{
	if (!client)
		return;
	client->ending = true;
	channel_destroy(client->channel);
	fd_close(&client->pidfd);
	if (client->welcome)
		bulkhead__broker__welcome__free_unpacked(client->welcome, NULL);
	free(client);
}

void broker_client_set_watch(struct broker_client *client, struct channel_watch *watch)
{
	client->watch = watch;
}

int broker_client_request(struct broker_client *client, uint16_t type, const ProtobufCMessage *body,
			  const int *fds, unsigned fd_count, uint32_t timeout_ms,
			  channel_reply_fn callback, void *opaque, struct error *err)
{
	int result = channel_request(client->channel, type, body, fds, fd_count, timeout_ms,
				     callback, opaque, err);

	if (client->watch)
		channel_watch_update(client->watch);
	return result;
}

struct channel *broker_client_channel(struct broker_client *client)
{
	return client->channel;
}

const Bulkhead__Broker__Welcome *broker_client_welcome(const struct broker_client *client)
{
	return client->welcome;
}

int broker_client_shutdown(struct broker_client *client, uint32_t timeout_ms, struct error *err)
{
	struct pollfd broker = {.fd = client->pidfd, .events = POLLIN};
	int rc;

	client->ending = true;
	rc = channel_call_sync(client->channel, MESSAGE(SHUTDOWN), NULL, NULL, 0, timeout_ms, NULL,
			       NULL, NULL, err);
	/* Its answer is the last thing it does but one: ending. */
	if (rc == 0 && client->pidfd >= 0)
		(void)poll(&broker, 1, LAST_STEP_MS);
	return rc;
}

/*
 * The channel puts its peer's name in front of what the peer answers. What the broker says about a
 * file or a process is for the operator, who need not know who opened it: `disk "root": open …`.
 * When the broker itself is what failed, its name stays.
 */
static int answer_without_peer(struct error *err)
{
	static const char peer[] = "broker: ";

	if (!err || err->code == -ETIMEDOUT || err->code == -EPROTO || err->code == -ECANCELED)
		return err ? err->code : -EIO;
	if (strncmp(err->message, peer, sizeof(peer) - 1) == 0)
		memmove(err->message, err->message + sizeof(peer) - 1,
			strlen(err->message) - sizeof(peer) + 2);
	return err->code;
}

int broker_declare(struct broker_client *client, const Bulkhead__Broker__Declare *declare,
		   struct error *err)
{
	int rc = channel_call_sync(client->channel, MESSAGE(DECLARE), &declare->base, NULL, 0,
				   CALL_MS, NULL, NULL, NULL, err);

	return rc != 0 ? answer_without_peer(err) : 0;
}

static int client_open(struct broker_client *client, const char *id,
		       const Bulkhead__Broker__Resource *resource, char *path, size_t path_bytes,
		       int *fd, struct error *err)
{
	cleanup_free char *name = strdup(id);
	Bulkhead__Broker__Open request;
	ProtobufCMessage *body = NULL;
	unsigned fd_count = 1;
	int rc;

	*fd = -1;
	if (!name)
		return error_set_errno(err, -ENOMEM, "open %s", id);
	bulkhead__broker__open__init(&request);
	request.id = name;
	request.resource = (Bulkhead__Broker__Resource *)(uintptr_t)resource;
	rc = channel_call_sync(client->channel, MESSAGE(OPEN), &request.base, NULL, 0, CALL_MS,
			       &body, fd, &fd_count, err);
	if (rc != 0)
		return answer_without_peer(err);
	if (path && path_bytes)
		(void)snprintf(path, path_bytes, "%s", ((Bulkhead__Broker__Opened *)body)->path);
	protobuf_c_message_free_unpacked(body, NULL);
	return *fd >= 0 ? 0 : error_set(err, -EPROTO, "open %s: the broker sent no fd", id);
}

int broker_open(struct broker_client *client, const char *id, char *path, size_t path_bytes,
		int *fd, struct error *err)
{
	return client_open(client, id, NULL, path, path_bytes, fd, err);
}

int broker_open_declared(struct broker_client *client, const Bulkhead__Broker__Resource *resource,
			 char *path, size_t path_bytes, int *fd, struct error *err)
{
	return client_open(client, resource->id, resource, path, path_bytes, fd, err);
}

static void spawn_request_take(struct spawn_request *request)
{
	struct spawn_request **at = &request->client->spawns;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
}

/* Nobody wants the process any more. */
static void spawn_end_unwanted(struct broker_client *client, const Bulkhead__Broker__Spawned *reply)
{
	struct error err = ERROR_INIT;

	/* A broker that was told to end ends them all, and reads no more. */
	if (client->ending)
		return;
	if (broker_kill(client, reply->pid, &err) < 0)
		log_error("cannot kill process %d, which is not wanted any more: %s", reply->pid,
			  err.message);
}

static void on_spawned(void *opaque, struct channel_message *message, const struct error *err)
{
	cleanup_free struct spawn_request *request = opaque;
	const Bulkhead__Broker__Spawned *reply;
	struct error answer;

	spawn_request_take(request);
	reply = message ? (const Bulkhead__Broker__Spawned *)message->body : NULL;
	if (!request->callback) {
		if (reply)
			spawn_end_unwanted(request->client, reply);
		return;
	}
	if (!reply) {
		answer = *err;
		(void)answer_without_peer(&answer);
		request->callback(request->opaque, 0, 0, &answer);
		return;
	}
	request->callback(request->opaque, reply->pid, reply->uid, NULL);
}

void broker_spawn_forget(struct broker_client *client, const void *opaque)
{
	for (struct spawn_request *request = client->spawns; request; request = request->next)
		if (request->opaque == opaque)
			request->callback = NULL;
}

static int client_spawn(struct broker_client *client, const char *kind, const char *device_id,
			bool helper, int core_fd, broker_spawned_fn callback, void *opaque,
			struct error *err)
{
	struct spawn_request *request = malloc(sizeof(*request));
	cleanup_free char *kind_copy = strdup(kind);
	cleanup_free char *id_copy = strdup(device_id);
	Bulkhead__Broker__Spawn spawn;
	int rc;

	if (!request || !kind_copy || !id_copy) {
		free(request);
		return error_set_errno(err, -ENOMEM, "spawn %s", device_id);
	}
	*request = (struct spawn_request){
		.client = client, .next = client->spawns, .callback = callback, .opaque = opaque};
	bulkhead__broker__spawn__init(&spawn);
	spawn.kind = kind_copy;
	spawn.device_id = id_copy;
	spawn.gateway = helper;
	rc = broker_client_request(client, MESSAGE(SPAWN), &spawn.base, &core_fd, 1, SPAWN_MS,
				   on_spawned, request, err);
	if (rc != 0)
		free(request);
	else
		client->spawns = request;
	return rc;
}

int broker_spawn(struct broker_client *client, const char *kind, const char *device_id, int core_fd,
		 broker_spawned_fn callback, void *opaque, struct error *err)
{
	return client_spawn(client, kind, device_id, false, core_fd, callback, opaque, err);
}

int broker_spawn_helper(struct broker_client *client, const char *kind, const char *id, int core_fd,
			broker_spawned_fn callback, void *opaque, struct error *err)
{
	return client_spawn(client, kind, id, true, core_fd, callback, opaque, err);
}

int broker_spawn_sync(struct broker_client *client, const char *kind, const char *device_id,
		      int core_fd, int32_t *pid, uint32_t *uid, struct error *err)
{
	cleanup_free char *kind_copy = strdup(kind);
	cleanup_free char *id_copy = strdup(device_id);
	Bulkhead__Broker__Spawn spawn;
	ProtobufCMessage *body = NULL;
	int rc;

	if (!kind_copy || !id_copy)
		return error_set_errno(err, -ENOMEM, "spawn %s", device_id);
	bulkhead__broker__spawn__init(&spawn);
	spawn.kind = kind_copy;
	spawn.device_id = id_copy;
	rc = channel_call_sync(client->channel, MESSAGE(SPAWN), &spawn.base, &core_fd, 1, SPAWN_MS,
			       &body, NULL, NULL, err);
	if (rc != 0)
		return answer_without_peer(err);
	if (pid)
		*pid = ((Bulkhead__Broker__Spawned *)body)->pid;
	if (uid)
		*uid = ((Bulkhead__Broker__Spawned *)body)->uid;
	protobuf_c_message_free_unpacked(body, NULL);
	return 0;
}

/* The answer says only whether it was still there. */
static void on_killed(void *opaque, struct channel_message *message, const struct error *err)
{
	(void)opaque;
	(void)message;
	(void)err;
}

int broker_kill(struct broker_client *client, int32_t pid, struct error *err)
{
	Bulkhead__Broker__Kill request;

	bulkhead__broker__kill__init(&request);
	request.pid = pid;
	return broker_client_request(client, MESSAGE(KILL), &request.base, NULL, 0, CALL_MS,
				     on_killed, NULL, err);
}

int broker_seal(struct broker_client *client, struct error *err)
{
	int rc = channel_call_sync(client->channel, MESSAGE(SEAL), NULL, NULL, 0, CALL_MS, NULL,
				   NULL, NULL, err);

	client->sealed = rc == 0;
	return rc;
}

bool broker_is_sealed(const struct broker_client *client)
{
	return client->sealed;
}
