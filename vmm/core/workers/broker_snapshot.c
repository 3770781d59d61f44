/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/workers/broker_snapshot.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "ipc/cleanup.h"

#define MESSAGE(name)	BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_##name
#define CALL_TIMEOUT_MS 10000
#define COMMIT_TIMEOUT_MS                                                                          \
	120000 /* flushes names to a disk that may be busy with the memory files */
#define SNAPSHOT_RESOURCE "snapshot"

int broker_snapshot_open(struct broker_client *broker, const char *path, bool create,
			 struct error *err)
{
	Bulkhead__Broker__Resource resource = BULKHEAD__BROKER__RESOURCE__INIT;
	Bulkhead__Broker__Resource *resources[] = {&resource};
	Bulkhead__Broker__Declare declare = BULKHEAD__BROKER__DECLARE__INIT;
	Bulkhead__Broker__SnapshotOpen request = BULKHEAD__BROKER__SNAPSHOT_OPEN__INIT;
	char id[] = SNAPSHOT_RESOURCE;

	resource.id = id;
	resource.path = (char *)(uintptr_t)path;
	resource.kind = create ? BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_CREATE
			       : BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_READ;
	declare.resources = resources;
	declare.n_resources = 1;
	/* Sealed: the gateway has declared it. */
	if (!broker_is_sealed(broker) && broker_declare(broker, &declare, err) < 0)
		return err->code;
	request.id = id;
	request.resource = &resource;
	return channel_call_sync(broker_client_channel(broker), MESSAGE(SNAPSHOT_OPEN),
				 &request.base, NULL, 0, CALL_TIMEOUT_MS, NULL, NULL, NULL, err);
}

int broker_snapshot_file(struct broker_client *broker, const char *name, int *fd, struct error *err)
{
	Bulkhead__Broker__SnapshotFile request = BULKHEAD__BROKER__SNAPSHOT_FILE__INIT;
	unsigned count = 1;

	request.name = (char *)(uintptr_t)name;
	if (channel_call_sync(broker_client_channel(broker), MESSAGE(SNAPSHOT_FILE), &request.base,
			      NULL, 0, CALL_TIMEOUT_MS, NULL, fd, &count, err) < 0)
		return err->code;
	return count == 1 ? 0 : error_set(err, -EPROTO, "the broker sent no file");
}

/* Of files that were asked for at once. */
struct file_request {
	int *fd;
	unsigned *waiting;
};

static void on_file(void *opaque, struct channel_message *message, const struct error *err)
{
	struct file_request *request = opaque;

	(void)err;
	if (message && message->fd_count == 1)
		*request->fd = fd_steal(&message->fds[0]);
	(*request->waiting)--;
}

/* Each request is answered, times out, or ends with the channel. */
static void wait_for_files(struct broker_client *broker, const unsigned *waiting)
{
	struct channel *channel = broker_client_channel(broker);

	while (*waiting) {
		struct pollfd activity = {.fd = channel_fd(channel),
					  .events = channel_poll_events(channel)};
		uint64_t deadline_ms = channel_next_deadline_ms(channel);
		uint64_t now_ms = channel_now_ms();
		uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;

		(void)poll(&activity, 1, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms);
		(void)channel_dispatch(channel, 1);
		channel_expire(channel, channel_now_ms());
	}
}

void broker_snapshot_files(struct broker_client *broker, const char *const *names, unsigned count,
			   int *fds)
{
	Bulkhead__Broker__SnapshotFile body = BULKHEAD__BROKER__SNAPSHOT_FILE__INIT;
	struct file_request requests[BROKER_SNAPSHOT_MAX_FILES];
	struct error ignored = ERROR_INIT;
	unsigned waiting = 0;

	assert(count <= BROKER_SNAPSHOT_MAX_FILES);
	for (unsigned i = 0; i < count; i++) {
		fds[i] = -1;
		requests[i] = (struct file_request){&fds[i], &waiting};
		body.name = (char *)(uintptr_t)names[i];
		if (broker_client_request(broker, MESSAGE(SNAPSHOT_FILE), &body.base, NULL, 0,
					  CALL_TIMEOUT_MS, on_file, &requests[i], &ignored) == 0)
			waiting++;
	}
	wait_for_files(broker, &waiting);
}

int broker_snapshot_commit(struct broker_client *broker, channel_reply_fn done, void *opaque,
			   struct error *err)
{
	Bulkhead__Broker__Empty request = BULKHEAD__BROKER__EMPTY__INIT;

	return broker_client_request(broker, MESSAGE(SNAPSHOT_COMMIT), &request.base, NULL, 0,
				     COMMIT_TIMEOUT_MS, done, opaque, err);
}

int broker_snapshot_close(struct broker_client *broker, struct error *err)
{
	Bulkhead__Broker__Empty request = BULKHEAD__BROKER__EMPTY__INIT;

	return channel_call_sync(broker_client_channel(broker), MESSAGE(SNAPSHOT_CLOSE),
				 &request.base, NULL, 0, CALL_TIMEOUT_MS, NULL, NULL, NULL, err);
}
