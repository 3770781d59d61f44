/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/devworkers/common/worker_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define MESSAGE(name) BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_##name

static int on_config_changed(void *owner, struct channel_message *message, struct error *err)
{
	struct worker_driver *driver = owner;
	const Bulkhead__Worker__ConfigChanged *event = (const void *)message->body;

	if (event->config_space.len > sizeof(driver->config_space))
		return error_set(err, -EPROTO, "config space of %zu bytes",
				 event->config_space.len);
	memcpy(driver->config_space, event->config_space.data, event->config_space.len);
	driver->config_space_bytes = event->config_space.len;
	driver->config_changed_count++;
	return 0;
}

static int on_needs_reset(void *owner, struct channel_message *message, struct error *err)
{
	struct worker_driver *driver = owner;
	const Bulkhead__Worker__NeedsReset *event = (const void *)message->body;

	(void)err;
	(void)snprintf(driver->needs_reset_reason, sizeof(driver->needs_reset_reason), "%s",
		       event->reason);
	driver->needs_reset_count++;
	return 0;
}

static void on_closed(void *owner, const struct error *err)
{
	struct worker_driver *driver = owner;

	driver->closed = true;
	(void)snprintf(driver->closed_reason, sizeof(driver->closed_reason), "%s", err->message);
}

#define REPLY(type_, name_, body_, fds_)                                                           \
	{                                                                                          \
		.type = MESSAGE(type_), .kind = FRAME_REPLY, .name = name_,                        \
		.descriptor = &bulkhead__worker__##body_##__descriptor, .max_fds = (fds_)          \
	}
#define EVENT(type_, name_, body_, handler_)                                                       \
	{                                                                                          \
		.type = MESSAGE(type_), .kind = FRAME_EVENT, .name = name_,                        \
		.descriptor = &bulkhead__worker__##body_##__descriptor, .handler = handler_        \
	}

static const struct channel_row rows[] = {
	REPLY(CONFIGURE, "configure", configured, 0),
	REPLY(ACTIVATE, "activate", activated, 1),
	REPLY(RESET, "reset", empty, 0),
	REPLY(QUIESCE, "quiesce", empty, 0),
	REPLY(SAVE_STATE, "save-state", state_reply, 1),
	REPLY(RESUME, "resume", empty, 0),
	REPLY(UPDATE, "update", empty, 0),
	REPLY(DIRTY_LOG, "dirty-log", empty, 0),
	REPLY(STATS, "stats", stats, 0),
	REPLY(SHUTDOWN, "shutdown", empty, 0),
	EVENT(CONFIG_CHANGED, "config-changed", config_changed, on_config_changed),
	EVENT(NEEDS_RESET, "needs-reset", needs_reset, on_needs_reset),
};

static const struct channel_callbacks callbacks = {.closed = on_closed};

int worker_driver_start(struct worker_driver *driver, const char *kind, struct error *err)
{
	const char *build = getenv("BULKHEAD_BUILD");
	char path[512];
	struct launch_options options = {.program = path, .log_level = 1};
	int ret;

	memset(driver, 0, sizeof(*driver));
	(void)snprintf(path, sizeof(path), "%s/bin/bulkhead-%s", build ? build : "build", kind);
	ret = worker_launch(&options, &driver->process, err);
	if (ret < 0)
		return ret;
	driver->channel = channel_new(driver->process.core_fd, kind, rows,
				      sizeof(rows) / sizeof(rows[0]), &callbacks, driver, err);
	if (!driver->channel) {
		fd_close(&driver->process.core_fd);
		(void)worker_launch_reap(&driver->process, 0);
		return err->code;
	}
	return 0;
}

int worker_driver_stop(struct worker_driver *driver)
{
	struct error err = ERROR_INIT;
	int status;

	if (driver->process.pid == 0)
		return 0;
	if (driver->channel && !driver->closed)
		(void)worker_driver_call(driver, MESSAGE(SHUTDOWN), NULL, NULL, 0, NULL, NULL,
					 &err);
	channel_destroy(driver->channel);
	driver->channel = NULL;
	status = worker_launch_reap(&driver->process, 2000);
	driver->process.core_fd = -1;
	return status;
}

int worker_driver_call(struct worker_driver *driver, Bulkhead__Worker__MessageType type,
		       const ProtobufCMessage *body, const int *fds, unsigned fd_count,
		       ProtobufCMessage **reply, int *reply_fd, struct error *err)
{
	ProtobufCMessage *answer = NULL;
	int answer_fds[1] = {-1};
	unsigned answer_fd_count = 1;
	int ret, violation;

	if (driver->closed)
		return error_set(err, -ECONNRESET, "%s", driver->closed_reason);
	ret = channel_call_sync(driver->channel, (uint16_t)type, body, fds, fd_count,
				WORKER_DRIVER_TIMEOUT_MS, &answer, answer_fds, &answer_fd_count,
				err);
	if (ret < 0) {
		violation = worker_launch_violation(&driver->process);
		if (violation >= 0)
			error_set(err, -EPERM, "the worker tried the forbidden system call %d",
				  violation);
		return ret;
	}
	if (reply)
		*reply = answer;
	else if (answer)
		protobuf_c_message_free_unpacked(answer, NULL);
	if (reply_fd)
		*reply_fd = answer_fd_count > 0 ? answer_fds[0] : -1;
	else if (answer_fd_count > 0)
		close(answer_fds[0]);
	return 0;
}

static void poll_channel(struct worker_driver *driver, uint64_t deadline_ms)
{
	struct pollfd ready = {channel_fd(driver->channel), channel_poll_events(driver->channel),
			       0};
	uint64_t now = channel_now_ms();

	if (poll(&ready, 1, deadline_ms > now ? (int)(deadline_ms - now) : 0) > 0)
		(void)channel_dispatch(driver->channel, 0);
}

bool worker_driver_wait_event(struct worker_driver *driver, const unsigned *count, unsigned wanted,
			      unsigned timeout_ms)
{
	uint64_t deadline_ms = channel_now_ms() + timeout_ms;

	while (!driver->closed && *count < wanted && channel_now_ms() < deadline_ms)
		poll_channel(driver, deadline_ms);
	return *count >= wanted;
}

bool worker_driver_wait_end(struct worker_driver *driver, unsigned timeout_ms)
{
	uint64_t deadline_ms = channel_now_ms() + timeout_ms;

	while (!driver->closed && channel_now_ms() < deadline_ms)
		poll_channel(driver, deadline_ms);
	return driver->closed;
}
