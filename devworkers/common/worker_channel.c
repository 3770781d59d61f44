/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's end of its socket to the core: watched by the loop, answered on, closed. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "devworkers/common/worker_context.h"
#include "ipc/log.h"

static void note_send(struct worker *worker, int ret, const struct error *err)
{
	/* Not sent: the channel closes itself when it cannot go on; the request then has no answer
	 * and its deadline tells the core. */
	if (ret < 0)
		log_error("answer to the core: %s", err->message);
	worker_watch_channel(worker);
}

void worker_reply(struct worker *worker, uint16_t type, uint32_t id, const ProtobufCMessage *body,
		  const int *fds, unsigned fd_count)
{
	struct error err = ERROR_INIT;

	note_send(worker, channel_reply(worker->channel, type, id, body, fds, fd_count, &err),
		  &err);
}

void worker_reply_error(struct worker *worker, uint16_t type, uint32_t id,
			const struct error *failure)
{
	struct error err = ERROR_INIT;

	/* A guest can cause it, again and again. */
	if (channel_fd(worker->channel) >= 0 && log_ratelimit_allow(&worker->guest_lines, NULL))
		log_warning("request %u: %s", id, failure->message);
	note_send(worker, channel_reply_error(worker->channel, type, id, failure), &err);
}

static unsigned channel_state(void *owner)
{
	const struct worker *worker = owner;

	return worker->state;
}

static void channel_closed(void *owner, const struct error *err)
{
	struct worker *worker = owner;

	loop_channel_unwatch(&worker->channel_watch);
	/* The core is gone or out of its mind: the VM is over, there is nobody to drain for. */
	if (err->code != -ECONNRESET)
		log_error("%s", err->message);
	loop_stop(worker->loop, err->code == -ECONNRESET ? 0 : 1);
}

static void channel_dispatched(void *opaque)
{
	worker_watch_channel(opaque);
}

void worker_watch_channel(struct worker *worker)
{
	loop_channel_update(&worker->channel_watch);
	/* The last answer is out. */
	if (worker->ending && worker->channel_watch.watch && channel_fd(worker->channel) >= 0 &&
	    !(channel_poll_events(worker->channel) & POLLOUT))
		loop_stop(worker->loop, 0);
}

int worker_open_channel(struct worker *worker, int fd, struct error *err)
{
	static const struct channel_callbacks callbacks = {
		.state = channel_state,
		.closed = channel_closed,
	};

	worker->channel =
		channel_new(fd, "core", worker_rows, worker_row_count, &callbacks, worker, err);
	if (!worker->channel)
		return err->code;
	return loop_channel_watch(&worker->channel_watch, worker->loop, worker->channel,
				  channel_dispatched, worker, err);
}

void worker_close_channel(struct worker *worker)
{
	loop_channel_unwatch(&worker->channel_watch);
	channel_destroy(worker->channel);
	worker->channel = NULL;
}

void worker_config_changed(struct worker *worker, const void *config_space, size_t bytes)
{
	Bulkhead__Worker__ConfigChanged event = BULKHEAD__WORKER__CONFIG_CHANGED__INIT;
	uint8_t copy[WORKER_MAX_CONFIG_SPACE];
	struct error err = ERROR_INIT;

	if (bytes > sizeof(copy))
		bytes = sizeof(copy);
	memcpy(copy, config_space, bytes);
	event.config_space.data = copy;
	event.config_space.len = bytes;
	note_send(worker,
		  channel_event(worker->channel,
				BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_CONFIG_CHANGED, &event.base,
				NULL, 0, &err),
		  &err);
}
