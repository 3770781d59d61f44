/* SPDX-License-Identifier: Apache-2.0 */
/* What the core asks (proto/broker.proto): one handler a request, the table at the bottom. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "proto/broker.pb-c.h"
#include "vmm/broker/broker.h"

#define MESSAGE(name) BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_##name
#define IN_ANY	      ((1U << BROKER_CONFIGURING) | (1U << BROKER_SEALED))

unsigned broker_channel_state(void *owner)
{
	return ((const struct broker *)owner)->state;
}

/* Answer with an empty message, or with the error when rc is not 0. Never breaks the channel. */
static int reply_plain(struct broker *broker, const struct channel_message *message, int rc,
		       struct error *failure)
{
	if (rc != 0)
		(void)channel_reply_error(broker->channel, message->type, message->id, failure);
	else
		(void)channel_reply(broker->channel, message->type, message->id, NULL, NULL, 0,
				    NULL);
	return 0;
}

static int on_hello(void *owner, struct channel_message *message, struct error *err)
{
	Bulkhead__Broker__Welcome welcome;
	struct broker *broker = owner;

	bulkhead__broker__welcome__init(&welcome);
	(void)err;
	welcome.separate_ids = broker->root;
	welcome.core_uid = broker->root ? broker->uids.base : geteuid();
	welcome.core_gid = broker->root ? broker->uids.base : getegid();
	welcome.cgroup = broker->cgroup.path;
	welcome.pid = getpid();
	(void)channel_reply(broker->channel, message->type, message->id, &welcome.base, NULL, 0,
			    NULL);
	return 0;
}

int broker_declare_all(struct broker *broker, const Bulkhead__Broker__Declare *request,
		       struct error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < request->n_resources; i++)
		rc = resource_table_declare(&broker->resources, request->resources[i], err);
	return rc;
}

static int on_declare(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__Declare *request = (const Bulkhead__Broker__Declare *)message->body;
	struct broker *broker = owner;
	struct error failure = ERROR_INIT;
	int rc = 0;

	(void)err;
	if (broker->state != BROKER_CONFIGURING && !broker->restore_asked_for)
		rc = error_set(&failure, -EPERM, "declare: the configuration is sealed");
	broker->restore_asked_for = false;
	if (rc == 0)
		rc = broker_declare_all(broker, request, &failure);
	return reply_plain(broker, message, rc, &failure);
}

static struct resource *find_declared(struct broker *broker, const char *id,
				      const Bulkhead__Broker__Resource *declaration)
{
	if (declaration)
		return resource_table_find_same(&broker->resources, declaration);
	return resource_table_find(&broker->resources, id);
}

static int on_open(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__Open *request = (const Bulkhead__Broker__Open *)message->body;
	Bulkhead__Broker__Opened reply;
	struct broker *broker = owner;
	struct resource *resource = find_declared(broker, request->id, request->resource);
	char pty_path[RESOURCE_PTY_PATH_SIZE];
	struct error failure = ERROR_INIT;
	cleanup_fd int fd = -1;

	bulkhead__broker__opened__init(&reply);
	(void)err;
	fd = resource ? resource_open(resource, pty_path, &failure)
		      : error_set(&failure, -EPERM, "open \"%.64s\": not declared", request->id);
	if (fd < 0)
		return reply_plain(broker, message, failure.code, &failure);
	reply.path = pty_path;
	(void)channel_reply(broker->channel, message->type, message->id, &reply.base, &fd, 1, NULL);
	return 0;
}

static int on_spawn(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__Spawn *request = (const Bulkhead__Broker__Spawn *)message->body;
	struct broker *broker = owner;
	struct error failure = ERROR_INIT;
	int rc = broker_spawn(broker, request->kind, request->device_id, request->gateway,
			      message->fds[0], message->id, &failure);

	(void)err;
	return rc == 0 ? 0 : reply_plain(broker, message, rc, &failure);
}

static int on_kill(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__Kill *request = (const Bulkhead__Broker__Kill *)message->body;
	struct broker *broker = owner;
	struct process *process = broker_find_process(broker, request->pid);
	struct error failure = ERROR_INIT;

	(void)err;
	if (!process || !process->announced)
		return reply_plain(
			broker, message,
			error_set(&failure, -ESRCH, "kill: no process %d of this VM", request->pid),
			&failure);
	process_kill(process, channel_now_ms() + BROKER_END_MS);
	return reply_plain(broker, message, 0, NULL);
}

static int on_snapshot_open(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__SnapshotOpen *request =
		(const Bulkhead__Broker__SnapshotOpen *)message->body;
	struct broker *broker = owner;
	const struct resource *resource = find_declared(broker, request->id, request->resource);
	struct error failure = ERROR_INIT;
	int rc;

	(void)err;
	if (resource &&
	    resource->kind == BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_CREATE)
		rc = snapshot_directory_create(&broker->snapshot, resource->path, &failure);
	else if (resource &&
		 resource->kind == BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_READ)
		rc = snapshot_directory_read(&broker->snapshot, resource->path, &failure);
	else
		rc = error_set(&failure, -EPERM, "snapshot \"%.64s\": not declared", request->id);
	return reply_plain(broker, message, rc, &failure);
}

static int on_snapshot_file(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__SnapshotFile *request =
		(const Bulkhead__Broker__SnapshotFile *)message->body;
	struct broker *broker = owner;
	struct error failure = ERROR_INIT;
	cleanup_fd int fd =
		snapshot_directory_open_file(&broker->snapshot, request->name, &failure);

	(void)err;
	if (fd < 0)
		return reply_plain(broker, message, failure.code, &failure);
	(void)channel_reply(broker->channel, message->type, message->id, NULL, &fd, 1, NULL);
	return 0;
}

static int on_snapshot_commit(void *owner, struct channel_message *message, struct error *err)
{
	struct broker *broker = owner;
	struct error failure = ERROR_INIT;
	int rc = snapshot_directory_commit(&broker->snapshot, &failure);

	(void)err;
	return reply_plain(broker, message, rc, &failure);
}

static int on_snapshot_close(void *owner, struct channel_message *message, struct error *err)
{
	struct broker *broker = owner;

	(void)err;
	snapshot_directory_close(&broker->snapshot);
	return reply_plain(broker, message, 0, NULL);
}

static int on_seal(void *owner, struct channel_message *message, struct error *err)
{
	struct broker *broker = owner;

	(void)err;
	broker->state = BROKER_SEALED;
	return reply_plain(broker, message, 0, NULL);
}

static int on_shutdown(void *owner, struct channel_message *message, struct error *err)
{
	struct broker *broker = owner;

	(void)err;
	broker->shutdown_asked = true;
	broker->shutdown_request_id = message->id;
	broker_stop(broker);
	return 0;
}

const struct channel_row broker_rows[] = {
	{MESSAGE(HELLO), FRAME_REQUEST, "hello", &bulkhead__broker__empty__descriptor, 0, 0, 0,
	 IN_ANY, on_hello},
	{MESSAGE(DECLARE), FRAME_REQUEST, "declare", &bulkhead__broker__declare__descriptor, 0, 0,
	 0, IN_ANY, on_declare},
	{MESSAGE(OPEN), FRAME_REQUEST, "open", &bulkhead__broker__open__descriptor, 0, 0, 0, IN_ANY,
	 on_open},
	{MESSAGE(SPAWN), FRAME_REQUEST, "spawn", &bulkhead__broker__spawn__descriptor, 0, 1, 1,
	 IN_ANY, on_spawn},
	{MESSAGE(KILL), FRAME_REQUEST, "kill", &bulkhead__broker__kill__descriptor, 0, 0, 0, IN_ANY,
	 on_kill},
	{MESSAGE(SEAL), FRAME_REQUEST, "seal", &bulkhead__broker__empty__descriptor, 0, 0, 0,
	 IN_ANY, on_seal},
	{MESSAGE(SNAPSHOT_OPEN), FRAME_REQUEST, "snapshot-open",
	 &bulkhead__broker__snapshot_open__descriptor, 0, 0, 0, IN_ANY, on_snapshot_open},
	{MESSAGE(SNAPSHOT_FILE), FRAME_REQUEST, "snapshot-file",
	 &bulkhead__broker__snapshot_file__descriptor, 0, 0, 0, IN_ANY, on_snapshot_file},
	{MESSAGE(SNAPSHOT_COMMIT), FRAME_REQUEST, "snapshot-commit",
	 &bulkhead__broker__empty__descriptor, 0, 0, 0, IN_ANY, on_snapshot_commit},
	{MESSAGE(SNAPSHOT_CLOSE), FRAME_REQUEST, "snapshot-close",
	 &bulkhead__broker__empty__descriptor, 0, 0, 0, IN_ANY, on_snapshot_close},
	{MESSAGE(SHUTDOWN), FRAME_REQUEST, "shutdown", &bulkhead__broker__empty__descriptor, 0, 0,
	 0, IN_ANY, on_shutdown},
};

const size_t broker_row_count = sizeof(broker_rows) / sizeof(broker_rows[0]);
